public import Platform
public import Repository
import WAL

/// Takes one backup's objects out of the repository.
///
/// It is made before anybody looks at what may go: what is removed is what was looked at (`ObjectRemoval`).
struct BackupRemoval {
    private let archive: ClusterArchive
    private(set) var folders: any ObjectRemoval

    init(from archive: ClusterArchive) throws {
        self.archive = archive
        // What another version keeps there, and why, isn't known.
        _ = try archive.isUsable()
        folders = archive.store.removal()
        for folder in [archive.incarnation.backupFolder, archive.incarnation.packFolder] { try folders.hold(folder) }
    }

    mutating func hold(_ folder: RepositoryKey) throws { try folders.hold(folder) }

    /// `backup.json` goes before what it describes, so that a half-removed backup is never taken for a whole.
    ///
    /// - Parameter keepingPacks: a kept backup refers to them.
    func callAsFunction(_ label: String, keepingPacks: Bool) throws {
        try folders.remove(archive.incarnation.backup(label, BackupSeal.objectName))
        try folders.remove(archive.incarnation.backup(label, "backup.json"))
        try folders.removeAll(in: archive.incarnation.backupFolder(label))
        if !keepingPacks { try folders.removeAll(in: archive.incarnation.packFolder(label)) }
    }
}

/// Why a backup that was named is not removed.
public struct BackupNeeded: Explained, Equatable {
    public let label: String
    public let reason: String
    public let hint: String?
    public var message: String { "backup \"\(label)\" is not removed" }
    public var detail: String? { reason }
}

/// One backup that is to go because somebody says so, whatever the rules of retention want.
public struct NamedRemoval {
    public let label: String
    /// Nil when its `backup.json` is damaged or gone.
    public let backup: BackupDescription?
    /// Another backup refers to its packs, which stay.
    public let keepsPacks: Bool
    /// What is freed, in bytes.
    public let size: Int64
    private let force: Bool
    private let archive: ClusterArchive

    /// Looks at everything that decides; removes and locks nothing: whoever is asked may take his time.
    ///
    /// - Parameter force: although it is pinned, or the last good one.
    /// - Throws: `BackupNeeded`, `NoSuchBackup`, `BackupInProgress`, and what the store throws.
    public init(of label: String, force: Bool, from archive: ClusterArchive) throws {
        guard try !BackupLock.isHeld(archive) else {
            throw BackupInProgress(cluster: archive.incarnation.cluster)
        }
        try self.init(label, force, archive)
        guard try !BackupLease.isHeld(label, of: archive) else { throw NamedRemoval.isRead(label) }
    }

    private init(_ label: String, _ force: Bool, _ archive: ClusterArchive) throws {
        (self.label, self.force, self.archive) = (label, force, archive)
        let listing = try archive.listBackups()
        backup = listing.all.first { $0.label == label }
        let unreadable = listing.unreadable.map(\.label)
        guard backup != nil || unreadable.contains(label) else {
            throw NoSuchBackup(label: label, cluster: archive.incarnation.cluster)
        }
        func refuse(_ reason: String, hint: String? = nil) -> BackupNeeded {
            BackupNeeded(label: label, reason: reason, hint: hint)
        }
        // What one refers to that can't be read, nobody knows.
        let others = listing.all.filter { $0.label != label }
        keepsPacks = others.contains { $0.packLabels.contains(label) } || unreadable.contains { $0 != label }
        if !force {
            if let backup, backup.isPinned(at: Moment(microseconds: Clock.now)) {
                throw refuse("It is pinned.", hint: "With --force it is removed all the same.")
            }
            // Of a backup whose branch was put aside nothing is recovered without being told.
            let good = try listing.complete.filter { try $0.label != label && damage(of: $0, from: archive) == nil }
            if good.isEmpty {
                throw refuse(
                    "No other good backup is in the repository.",
                    hint: "Take a backup first. With --force it is removed all the same.")
            }
        }
        var size: Int64 = 0
        for folder in [archive.incarnation.backupFolder(label)]
            + (keepsPacks ? [] : [archive.incarnation.packFolder(label)])
        {
            for entry in try archive.store.list(folder) { size += entry.size ?? 0 }
        }
        self.size = size
    }

    private static func isRead(_ label: String) -> BackupNeeded {
        BackupNeeded(
            label: label, reason: "A restore or a verification reads it at this moment.",
            hint: "Wait until that is done.")
    }

    /// Takes the locks, looks again, and removes it. WAL stays; the next expiry removes what no other backup needs.
    ///
    /// - Returns: what was found at the second look, and is gone.
    /// - Throws: as the first look.
    public func carryOut() throws -> NamedRemoval {
        let lock = try BackupLock(archive)
        let removal = try BackupRemoval(from: archive)
        let found = try NamedRemoval(label, force, archive)
        guard let bar = try LeaseBar(label, of: archive) else { throw NamedRemoval.isRead(label) }
        try withExtendedLifetime((lock, bar)) { try removal(label, keepingPacks: found.keepsPacks) }
        return found
    }
}

/// What is wrong with a backup, as a look at its objects' sizes and its last verification tell: the rest of a sentence.
func damage(of backup: BackupDescription, from archive: ClusterArchive) throws -> String? {
    if let visible = try visibleDamage(of: backup, from: archive) { return visible }
    guard let verified = try lastVerification(of: backup.label, of: archive) else { return nil }
    // Nobody knows what it found.
    if let fault = verified.fault { return "the record of its verification of \(verified.time) \(fault.verdict)" }
    guard verified.problems > 0 else { return nil }
    return "its verification of \(verified.time) found \(verified.problems) problem"
        + (verified.problems == 1 ? "" : "s")
}

/// What a look at its objects' sizes tells: the rest of a sentence, nil when nothing is missing.
public func visibleDamage(of backup: BackupDescription, from archive: ClusterArchive) throws -> String? {
    var size = try archive.store.size(of: archive.incarnation.backup(backup.label, Manifest.objectName)) ?? 0
    for entry in try archive.store.list(archive.incarnation.packFolder(backup.label))
    where !entry.isFolder && entry.name.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
        // It lies behind a link that leads nowhere.
        guard let its = entry.size else {
            throw Problem(
                "could not look at object \"\(archive.incarnation.packFolder(backup.label).appending(entry.name))\"")
        }
        size += its
    }
    if size < backup.storedSize {
        return "\(backup.storedSize - size) bytes of what was stored are missing from the repository"
    }
    for label in backup.packLabels where label != backup.label {
        let packs = try archive.store.list(archive.incarnation.packFolder(label)).filter { !$0.isFolder }
        if packs.isEmpty { return "the packs of backup \"\(label)\", which it refers to, are missing" }
        if let empty = packs.first(where: { $0.size == 0 }) {
            return "pack \"\(empty.name)\" of backup \"\(label)\", which it refers to, is empty"
        }
    }
    return nil
}
