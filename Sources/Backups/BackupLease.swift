public import Repository

/// The right to read a backup and the WAL after it: until it is released, or its process ends, `expire` leaves both
/// alone (a shared lock in the backup's folder).
public final class BackupLease: Sendable {
    fileprivate static let name = "lease"
    private let lock: (any StoreLock)?

    /// Waits for an expiration that is deciding or removing. In a repository that is read-only from here, expiration
    /// can't run from here either, and no lock is taken.
    ///
    /// - Throws: `NoSuchBackup` when it has been removed; `BackupInProgress` when expiration takes longer than
    ///   `patience`.
    public init(_ label: String, of archive: ClusterArchive, patience milliseconds: Int = 60_000) throws {
        let attempt: LockAttempt
        do {
            attempt = try archive.store.lock(
                BackupLease.name, in: archive.incarnation.backupFolder(label), isShared: true, patience: milliseconds,
                makesFolder: false)
        } catch is ObjectAbsent { throw NoSuchBackup(label: label, cluster: archive.incarnation.cluster) }
        switch attempt {
        case .taken(let lock):
            guard try archive.hasBackup(label) else {
                throw NoSuchBackup(label: label, cluster: archive.incarnation.cluster)
            }
            self.lock = lock
        case .refused(let owner): throw BackupInProgress(cluster: archive.incarnation.cluster, owner: owner)
        case .impossible: lock = nil
        }
    }

    /// Whether any process holds one.
    public static func isHeld(_ label: String, of archive: ClusterArchive) throws -> Bool {
        try archive.store.isLocked(name, in: archive.incarnation.backupFolder(label))
    }
}

/// Blocks new leases of a backup, from the decision to remove it until it is gone: a reader that came in between would
/// miss objects.
public final class LeaseBar: Sendable {
    private let lock: any StoreLock

    /// Nil when another process holds a lease.
    public init?(_ label: String, of archive: ClusterArchive) throws {
        switch try archive.store.lock(
            BackupLease.name, in: archive.incarnation.backupFolder(label), isShared: false, patience: 0,
            makesFolder: false)
        {
        case .taken(let lock): self.lock = lock
        case .refused: return nil
        case .impossible(let error): throw error
        }
    }

    /// Called before the backup, or an object it needs, is removed.
    /// - Throws: `LockLost`.
    public func confirm() throws { try lock.confirm() }
}
