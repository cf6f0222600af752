public import Backups
public import Platform
public import Repository
import Retention
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

    /// - Parameter locks: whether they are still held.
    func confirmed(by locks: @escaping () throws -> Void) -> BackupRemoval {
        var confirmed = self
        confirmed.folders = ConfirmedRemoval(folders, confirm: locks)
        return confirmed
    }

    mutating func hold(_ folder: RepositoryKey) throws { try folders.hold(folder) }

    /// `backup.json` goes before what it describes, so that a half-removed backup is never taken for a whole.
    ///
    /// - Parameter kept: packs that other backups refer to.
    func callAsFunction(_ label: String, keeping kept: KeptPacks) throws {
        try folders.remove(archive.incarnation.backup(label, BackupSeal.objectName))
        try folders.remove(archive.incarnation.backup(label, "backup.json"))
        try folders.removeAll(in: archive.incarnation.backupFolder(label))
        let packs = archive.incarnation.packFolder(label)
        guard kept.concern(label) else { return try folders.removeAll(in: packs) }
        for name in try archive.sparePacks(of: label, keeping: kept).map(\.name) {
            try folders.remove(packs.appending(name))
        }
    }
}

extension RetainedBranches {
    /// A branch that somebody may be on, and that can be recovered from one backup, but not from others.
    fileprivate func onlyWay(from backup: BackupDescription, others: [BackupDescription]) -> TimelineID? {
        living.last { branch in
            func canBegin(with backup: BackupDescription) -> Bool {
                branch.history.canBegin(withBackupOn: backup.timeline, stop: backup.stopLSN)
            }
            // Where nobody knows what leads to it, only a backup of its own is a substitute.
            let mayBegin = branch.unknownBefore.map {
                backup.timeline < branch.history.timeline && backup.stopLSN <= $0
            }
            return (mayBegin ?? false || canBegin(with: backup)) && !others.contains(where: canBegin)
        }?.history.timeline
    }
}

extension ClusterArchive {
    /// The objects in a backup's folder of packs that nobody needs, where some stay.
    func sparePacks(of label: String, keeping kept: KeptPacks) throws -> [RepositoryEntry] {
        try store.list(incarnation.packFolder(label)).filter { !$0.isFolder && !kept.keep($0.name, of: label) }
    }

    /// Bytes that go with a backup, what killed processes left of it included.
    func removableSize(of label: String, keeping kept: KeptPacks) throws -> Int64 {
        func all(_ folder: RepositoryKey) throws -> Int64 {
            try store.list(folder).reduce(0) { $0 + ($1.isFolder ? 0 : $1.size ?? 0) }
                + store.leftovers(in: folder).reduce(0) { $0 + $1.size }
        }
        let packs = incarnation.packFolder(label)
        return try all(incarnation.backupFolder(label))
            + (kept.concern(label)
                ? sparePacks(of: label, keeping: kept).reduce(0) { $0 + ($1.size ?? 0) } : all(packs))
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
    /// Another backup refers to packs of it, or may; these stay.
    public var keepsPacks: Bool { kept.concern(label) }
    /// What is freed, in bytes.
    public let size: Int64
    private let kept: KeptPacks
    private let force: Bool
    private let archive: ClusterArchive

    /// Looks at everything that decides; removes and locks nothing: whoever is asked may take his time.
    ///
    /// - Parameter force: although it is pinned, or the last good one, of all or of a branch that somebody may be on.
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
        try listing.confirmUsable()
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
        kept = KeptPacks(of: others, andUnreadableOnes: unreadable.contains { $0 != label })
        if !force {
            if backup == nil, let fault = listing.unreadable.first(where: { $0.label == label })?.reason.fault,
                !fault.isReadable
            {
                throw refuse(
                    "Its backup.json cannot be read, and may say that it is pinned. \(fault.detail)",
                    hint: "\(fault.hint) With --force, the backup is removed anyway.")
            }
            let now = Moment(microseconds: Clock.now)
            if let backup, backup.isPinned(at: now) {
                throw refuse("It is pinned.", hint: "With --force, it is removed anyway.")
            }
            // Of a backup whose branch was put aside nothing is recovered without being told.
            let good = try listing.complete.filter { try $0.label != label && damage(of: $0, from: archive) == nil }
            if good.isEmpty {
                throw refuse(
                    "No other good backup is in the repository.",
                    hint: "Take a backup first. With --force, it is removed anyway.")
            }
            if let backup = listing.backup(label) {
                let branches: RetainedBranches
                do {
                    branches = RetainedBranches(try Expiry(archive: archive, listing: listing).timelines(), now: now)
                } catch let fault as any Explained where fault is BadTimelineHistory || fault is ObjectDamaged {
                    throw refuse(
                        "Which timelines need it cannot be determined: \(fault.message).",
                        hint: "With --force, it is removed anyway.")
                }
                if let timeline = branches.onlyWay(from: backup, others: good) {
                    throw refuse(
                        "No other good backup is on the history of timeline \(timeline).",
                        hint: "If timeline \(timeline) is still needed, take a backup on it first. "
                            + "With --force, the backup is removed anyway.")
                }
            }
        }
        size = try archive.removableSize(of: label, keeping: kept)
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
        guard let lease = try ExclusiveLease(label, of: archive) else { throw NamedRemoval.isRead(label) }
        let confirmed = removal.confirmed {
            try lock.confirm()
            try lease.confirm()
        }
        try confirmed(label, keeping: found.kept)
        return found
    }
}
