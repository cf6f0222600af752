import Glibc
import Platform
public import Repository

/// Somebody reads a backup: until the object goes, or its process, `expire` leaves the backup and its WAL alone (flock(2)
/// on a file in the backup's folder).
public final class BackupLease: Sendable {
    private let file: Descriptor?

    /// In a repository that can only be read, expiration can't run from here either, and the lease is an empty promise.
    ///
    /// - Throws: `NoSuchBackup` when it is being removed at this moment.
    public init(_ label: String, of incarnation: Incarnation, in store: any ObjectStore) throws {
        guard let directory = store as? DirectoryStore else {
            file = nil
            return
        }
        let path = BackupLease.path(label, incarnation, directory)
        do {
            let file = try Descriptor(open: path, O_RDWR | O_CREAT)
            guard try file.tryLock(path: path, shared: true) else {
                throw NoSuchBackup(label: label, cluster: incarnation.cluster)
            }
            self.file = consume file
        } catch let error as SystemError where [EROFS, EACCES, EPERM].contains(error.code) {
            file = nil
        }
    }

    /// Whether somebody holds one.
    static func isHeld(_ label: String, of incarnation: Incarnation, in store: any ObjectStore) throws -> Bool {
        guard let directory = store as? DirectoryStore else { return false }
        let path = BackupLease.path(label, incarnation, directory)
        guard try Files.exists(path) else { return false }
        let file = try Descriptor(open: path, O_RDWR)
        return try !file.tryLock(path: path)
    }

    private static func path(_ label: String, _ incarnation: Incarnation, _ store: DirectoryStore) -> String {
        store.path(incarnation.backupFolder(label)) + "/.lease"
    }
}
