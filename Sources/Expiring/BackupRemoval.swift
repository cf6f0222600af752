public import Backups
import DataDirectory
public import Platform
public import Repository
import Retention
import WAL

/// Removes one backup's objects from the repository.
///
/// It is created before the listing that decides what to remove: what is removed is what was listed (`ObjectRemoval`).
struct BackupRemoval {
    private let archive: ClusterArchive
    private(set) var folders: any ObjectRemoval

    init(from archive: ClusterArchive) throws {
        self.archive = archive
        // It isn't known what another version keeps there, and why.
        _ = try archive.isUsable()
        folders = archive.store.removal()
        for folder in [archive.incarnation.backupFolder, archive.incarnation.packFolder] { try folders.hold(folder) }
    }

    /// - Parameter locks: throws if they have been lost.
    func confirmed(by locks: @escaping () throws -> Void) -> BackupRemoval {
        var confirmed = self
        confirmed.folders = ConfirmedRemoval(folders, confirm: locks)
        return confirmed
    }

    mutating func hold(_ folder: RepositoryKey) throws { try folders.hold(folder) }

    /// - Throws: `BehindLink` where one of the backup's folders is elsewhere, reached by a link.
    static func refuseLinks(_ label: String, of archive: ClusterArchive, _ folders: any ObjectRemoval) throws {
        for folder in [archive.incarnation.backupFolder(label), archive.incarnation.packFolder(label)] {
            try folders.refuseLink(at: folder)
        }
    }

    /// Removes `backup.json` before the objects it describes, so that a half-removed backup is never taken for a whole
    /// one.
    ///
    /// - Parameter kept: packs to which other backups refer.
    func callAsFunction(_ label: String, keeping kept: KeptPacks) throws {
        try BackupRemoval.refuseLinks(label, of: archive, folders)
        try folders.remove(archive.incarnation.backup(label, BackupSeal.objectName))
        try folders.remove(archive.incarnation.backupDescription(label))
        try folders.removeAll(in: archive.incarnation.backupFolder(label))
        let packs = archive.incarnation.packFolder(label)
        guard kept.concern(label) else { return try folders.removeAll(in: packs) }
        for name in try archive.sparePacks(of: label, keeping: kept).map(\.name) {
            try folders.remove(packs.appending(name))
        }
    }
}

extension RetainedBranches {
    /// A living branch that can be recovered from this backup, but not from the others.
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
    /// The objects in a backup's folder of packs that are not needed, where others are.
    func sparePacks(of label: String, keeping kept: KeptPacks) throws -> [RepositoryEntry] {
        try store.list(incarnation.packFolder(label)).filter { !$0.isFolder && !kept.keep($0.name, of: label) }
    }

    /// The bytes that removing a backup frees, including leftovers of killed processes.
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

/// Why a named backup is not removed.
public struct BackupNeeded: Explained, Equatable {
    public let label: String
    public let reason: String
    public let hint: String?
    public var message: String { "backup \"\(label)\" is not removed" }
    public var detail: String? { reason }
}

/// One backup to be removed by name, whatever retention says.
public struct NamedRemoval {
    public let label: String
    /// Nil when its `backup.json` is damaged or missing.
    public let backup: BackupDescription?
    /// Whether another backup refers to packs of it, or may; these stay.
    public var keepsPacks: Bool { kept.concern(label) }
    /// The bytes that are freed.
    public let size: Int64
    private let kept: KeptPacks
    private let force: Bool
    private let archive: ClusterArchive
    private let dataDirectory: String

    /// Reads everything that decides; removes and locks nothing, so that a user can be asked.
    ///
    /// - Parameters:
    ///   - force: removes the backup even if it is pinned, or the last good one, of all or of a living branch.
    ///   - dataDirectory: the cluster's own: the timeline it is on counts as a living branch.
    /// - Throws: `BackupNeeded`, `NoSuchBackup`, `BackupInProgress`, and what the store throws.
    public init(of label: String, force: Bool, from archive: ClusterArchive, dataDirectory: String) throws {
        guard try !BackupLock.isHeld(archive) else {
            throw BackupInProgress(cluster: archive.incarnation.cluster)
        }
        try self.init(label, force, archive, dataDirectory)
        guard try !BackupLease.isHeld(label, of: archive) else { throw NamedRemoval.isRead(label) }
    }

    private init(_ label: String, _ force: Bool, _ archive: ClusterArchive, _ dataDirectory: String) throws {
        (self.label, self.force, self.archive, self.dataDirectory) = (label, force, archive, dataDirectory)
        let listing = try archive.listBackups()
        try listing.confirmUsable()
        backup = listing.all.first { $0.label == label }
        let unreadable = listing.unreadable.map(\.label)
        guard backup != nil || unreadable.contains(label) else {
            throw NoSuchBackup(label: label, cluster: archive.incarnation.cluster)
        }
        try BackupRemoval.refuseLinks(label, of: archive, archive.store.removal())
        func refuse(_ reason: String, hint: String? = nil) -> BackupNeeded {
            BackupNeeded(label: label, reason: reason, hint: hint)
        }
        // It isn't known to which packs an unreadable backup refers.
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
            let expiry = Expiry(archive: archive, listing: listing)
            let now = provenPresent(
                try expiry.facts(isLeased: { _ in false }), now: Moment(microseconds: Clock.now))
            if let backup, backup.isPinned(at: now) {
                throw refuse("It is pinned.", hint: "With --force, it is removed anyway.")
            }
            // A backup whose branch was put aside is only recovered when named.
            var wal = NeededWAL(of: archive)
            let good = try listing.complete.filter {
                try $0.label != label && damage(of: $0, from: archive) == nil && wal.lack(of: $0) == nil
            }
            if good.isEmpty {
                throw refuse(
                    "No other good backup is in the repository.",
                    hint: "Take a backup first. With --force, it is removed anyway.")
            }
            if let backup = listing.backup(label) {
                let branches: RetainedBranches
                do {
                    let own = try OwnTimeline(in: dataDirectory, of: archive.incarnation)
                    branches = RetainedBranches(try expiry.timelines(own), now: now)
                } catch let fault as any Explained
                    where fault is BadTimelineHistory || fault is ObjectDamaged || fault is DamagedControlFile
                {
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

    /// Takes the locks, decides again, and removes the backup. WAL stays; the next expiry removes what no other backup
    /// needs.
    ///
    /// - Returns: the second decision, which was carried out.
    /// - Throws: as `init`.
    public func carryOut() throws -> NamedRemoval {
        let lock = try BackupLock(archive)
        let removal = try BackupRemoval(from: archive)
        let found = try NamedRemoval(label, force, archive, dataDirectory)
        guard let lease = try ExclusiveLease(label, of: archive) else { throw NamedRemoval.isRead(label) }
        let confirmed = removal.confirmed {
            try lock.confirm()
            try lease.confirm()
        }
        try confirmed(label, keeping: found.kept)
        return found
    }
}
