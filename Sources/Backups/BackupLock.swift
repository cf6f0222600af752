public import Platform
public import Repository

/// Another process is taking a backup of this cluster, or expiring its backups.
public struct BackupInProgress: Explained, Equatable {
    public let cluster: String
    /// The other process, where the store can tell.
    public let owner: LockOwner?
    public init(cluster: String, owner: LockOwner? = nil) { (self.cluster, self.owner) = (cluster, owner) }
    public var message: String { "another backup or expiration of cluster \"\(cluster)\" is running" }
    public var detail: String? {
        owner.map { "\($0) holds the lock of the cluster's backups; the lock ends with that process." }
            ?? "It holds the lock of the cluster's backups; the lock ends with that process."
    }
    public var hint: String? { "Wait for it to finish, or end it, then try again." }
}

/// The right to add or remove backups of an incarnation: one process at a time; the lock ends with its process.
public final class BackupLock: Sendable {
    private static let name = "lock"
    private let lock: any StoreLock

    /// Waits up to a second: `isHeld`, in another process, takes the lock for a moment.
    ///
    /// - Throws: `BackupInProgress` when another process holds it.
    public init(_ archive: ClusterArchive) throws {
        switch try archive.store.lock(
            BackupLock.name, in: archive.incarnation.backupFolder, isShared: false, patience: 1000, makesFolder: true)
        {
        case .taken(let lock): self.lock = lock
        case .refused(let owner): throw BackupInProgress(cluster: archive.incarnation.cluster, owner: owner)
        case .impossible(let error): throw error
        }
    }

    /// Called before something is added or removed.
    /// - Throws: `LockLost`.
    public func confirm() throws { try lock.confirm() }

    /// Whether any process holds it. Takes and creates nothing.
    public static func isHeld(_ archive: ClusterArchive) throws -> Bool {
        try archive.store.isLocked(name, in: archive.incarnation.backupFolder)
    }
}
