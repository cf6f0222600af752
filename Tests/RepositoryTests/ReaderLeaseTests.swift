import Backups
import Platform
import Support
import Testing

@testable import Repository

/// Whoever reads a backup in a store without file locks learns that its lease was lost, and what has become of the
/// backup.
@Suite struct ReaderLeaseTests {
    enum Loss: CaseIterable, Sendable { case itsObjectsAreRemoved, theProcessStoodStill, theStoreWasAway }
    enum Since: CaseIterable, Sendable { case nothing, theBackupWasRemoved, anotherExpiresBackups }

    private static let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 1)
    private let label = "20261130T000000"

    @Test(arguments: Loss.allCases, Since.allCases)
    func `a lease that was lost is taken again, or the reader told`(_ loss: Loss, _ since: Since) throws {
        let (store, hand) = (MemoryStore(), Hand())
        store.set { hand.now }
        var terms = LeaseLocks.Terms()
        (terms.now, terms.elapsed) = ({ hand.now }, { UInt64(hand.now) * 1000 })
        // Else nobody renews in time.
        terms.renewal = loss == .itsObjectsAreRemoved ? 1 : 1 << 40
        store.set(terms: terms)
        let archive = ClusterArchive(Self.incarnation, in: store)
        let description = Self.incarnation.backupDescription(label)
        try store.create(description, bytes: [1])
        let lease = try BackupLease(label, of: archive)
        #expect(try lease.confirm() == nil)
        let folder = Self.incarnation.backupFolder(label)
        let objects = LeaseLocks.folder(of: "lease", in: folder)
        var cause = LockLost.Cause.notRenewed
        switch loss {
        case .itsObjectsAreRemoved:
            cause = .removed
            for entry in try store.list(objects) { try store.remove(objects.appending(entry.name)) }
        case .theProcessStoodStill: hand.pass(seconds: 200)
        case .theStoreWasAway:
            store.fail(with: Hiccup())
            hand.pass(seconds: 200)
            // What can't be told is no answer.
            #expect(throws: Hiccup()) { try lease.confirm() }
            #expect(throws: Hiccup()) { try lease.confirm() }
            store.fail(with: nil)
        }
        let lost = LockLost(lock: "lease", cause)
        /// What is removed is missed at the next renewal.
        func confirm(patience: Int = 0) throws -> LockLost? {
            var found: LockLost?
            try wait(for: "the loss to be noticed") {
                found = try lease.confirm(patience: patience)
                return found != nil
            }
            return found
        }
        switch since {
        case .nothing: break
        case .theBackupWasRemoved:
            try store.remove(description)
            #expect(throws: LeaseLost(label: label, lost, .backupRemoved)) { try confirm() }
            // It stays so, and a failure is explained by it.
            struct Missing: Error {}
            #expect(throws: LeaseLost(label: label, lost, .backupRemoved)) { try lease.reading { throw Missing() } }
            return
        case .anotherExpiresBackups:
            // An owner isn't known of an object that is renewed while it is read.
            var slow = terms
            slow.renewal = 1 << 40
            let other = try LeaseLocks(in: store, slow, of: elsewhere())
                .lock("lease", in: folder, isShared: false, patience: 60_000, makesFolder: false)
            guard case .taken(let bar) = other else { throw Problem("\(other)") }
            let error = #expect(throws: LeaseLost.self) { try confirm() }
            guard case .expiring(let owner) = error?.consequence else { throw Problem("\(error as Any)") }
            #expect(owner?.process == elsewhere() && error?.isTransient == true)
            // Its own failure is what counts then.
            struct Missing: Error {}
            #expect(throws: Missing.self) { try lease.reading { throw Missing() } }
            withExtendedLifetime(bar) {}
        }
        #expect(try confirm() == lost)
        #expect(try lease.confirm() == nil)
        #expect(try BackupLease.isHeld(label, of: archive))
    }

    @Test func `the reader of a directory learns that the file of his lease is another one, or gone`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(try scratch.repository(of: Self.incarnation.folder.description))
        let archive = ClusterArchive(Self.incarnation, in: store)
        let description = Self.incarnation.backupDescription(label)
        try store.create(description, bytes: [1])
        let lease = try BackupLease(label, of: archive)
        #expect(try lease.confirm() == nil)
        let file = store.path(Self.incarnation.backupFolder(label)) + "/.lease"
        let lost = LockLost(lock: "lease", .removed)
        try Files.remove(file)
        #expect(try lease.confirm() == lost)
        #expect(try lease.confirm() == nil && Files.exists(file))
        try Files.remove(file)
        do {
            let bar = try #require(try ExclusiveLease(label, of: archive))
            #expect(throws: LeaseLost(label: label, lost, .expiring(nil))) { try lease.confirm(patience: 0) }
            withExtendedLifetime(bar) {}
        }
        #expect(try lease.confirm() == lost)
        try Files.removeTree(Files.parent(file))
        #expect(throws: LeaseLost(label: label, lost, .backupRemoved)) { try lease.confirm() }
    }
}
