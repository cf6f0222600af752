import Glibc
public import Platform
public import Repository

/// Another process takes a backup of this cluster, or expires its backups, at this moment.
public struct BackupInProgress: Explained, Equatable {
    public let cluster: String
    public var message: String { "another backup or expiration of cluster \"\(cluster)\" is running" }
    public var detail: String? { "It holds the lock of the cluster's backups; the lock ends with that process." }
    public var hint: String? { "Wait for it to finish, or end it, then try again." }
}

/// The right to add or remove backups of an incarnation: one process at a time, and never a dead one (flock(2)).
public final class BackupLock: Sendable {
    private let file: Descriptor?

    /// - Throws: `BackupInProgress` when somebody else holds it.
    public init(_ incarnation: Incarnation, in store: any ObjectStore) throws {
        // Only a directory can be locked; another kind of store relies on keys being created once.
        guard let directory = store as? DirectoryStore else {
            file = nil
            return
        }
        let folder = try directory.writingPlace(incarnation.backupFolder)
        try Files.makeDirectories(folder)
        let lock = folder.appending(".lock")
        let file = try Descriptor(open: lock, O_RDWR | O_CREAT)
        guard try file.tryLock(path: lock.path) else { throw BackupInProgress(cluster: incarnation.cluster) }
        self.file = consume file
    }
}
