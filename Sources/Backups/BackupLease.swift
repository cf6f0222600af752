public import Repository

/// Somebody reads a backup or the WAL behind it: until the object goes, or its process, `expire` leaves both alone
/// (a shared lock in the backup's folder).
public final class BackupLease: Sendable {
    fileprivate static let name = "lease"
    private let lock: (any StoreLock)?

    /// Waits for an expiration that is just deciding or removing. In a repository that can only be read, expiration can't
    /// run from here either, and the lease is an empty promise.
    ///
    /// - Throws: `NoSuchBackup` when it has been removed; `BackupInProgress` when expiration takes longer than `patience`.
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

    /// Whether somebody holds one.
    public static func isHeld(_ label: String, of archive: ClusterArchive) throws -> Bool {
        try archive.store.isLocked(name, in: archive.incarnation.backupFolder(label))
    }
}

/// Keeps new leases of a backup waiting, from the decision what goes until it is gone: a reader that came in between would
/// miss what it counts on.
public final class LeaseBar: Sendable {
    private let lock: any StoreLock

    /// Nil when somebody holds a lease.
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

    /// To be asked before the backup, or what it needs, is removed.
    /// - Throws: `LockLost`.
    public func confirm() throws { try lock.confirm() }
}
