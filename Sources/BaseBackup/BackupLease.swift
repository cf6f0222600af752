import Glibc
import Platform
public import Repository

/// Somebody reads a backup or the WAL behind it: until the object goes, or its process, `expire` leaves both alone
/// (flock(2) on a file in the backup's folder).
public final class BackupLease: Sendable {
    private let file: Descriptor?

    /// Waits for an expiration that is just deciding or removing. In a repository that can only be read, expiration can't
    /// run from here either, and the lease is an empty promise.
    ///
    /// - Throws: `NoSuchBackup` when it has been removed; `BackupInProgress` when expiration takes longer than `patience`.
    public init(
        _ label: String, of incarnation: Incarnation, in store: any ObjectStore, patience milliseconds: Int = 60_000
    ) throws {
        guard let directory = store as? DirectoryStore else {
            file = nil
            return
        }
        do {
            let lease = try BackupLease.place(label, incarnation, directory)
            let file = try Descriptor(open: lease, O_RDWR | O_CREAT)
            var waited = 0
            while try !file.tryLock(path: lease.path, shared: true) {
                guard waited < milliseconds else { throw BackupInProgress(cluster: incarnation.cluster) }
                Clock.sleep(milliseconds: 50)
                waited += 50
            }
            guard try store.size(of: incarnation.backup(label, "backup.json")) != nil else {
                throw NoSuchBackup(label: label, cluster: incarnation.cluster)
            }
            self.file = consume file
        } catch let error as SystemError where [EROFS, EACCES, EPERM].contains(error.code) {
            file = nil
        } catch let error as SystemError where error.code == ENOENT {
            throw NoSuchBackup(label: label, cluster: incarnation.cluster)
        }
    }

    /// Whether somebody holds one.
    static func isHeld(_ label: String, of incarnation: Incarnation, in store: any ObjectStore) throws -> Bool {
        guard let directory = store as? DirectoryStore else { return false }
        let lease = try BackupLease.place(label, incarnation, directory)
        guard try Files.exists(lease) else { return false }
        let file = try Descriptor(open: lease, O_RDWR)
        return try !file.tryLock(path: lease.path)
    }

    fileprivate static func place(
        _ label: String, _ incarnation: Incarnation, _ store: DirectoryStore
    ) throws -> Place {
        try store.place(incarnation.backupFolder(label)).appending(".lease")
    }
}

/// Keeps new leases of a backup waiting, from the decision what goes until it is gone: a reader that came in between would
/// miss what it counts on.
final class LeaseBar: Sendable {
    private let file: Descriptor?

    /// Nil when somebody holds a lease.
    init?(_ label: String, of incarnation: Incarnation, in store: any ObjectStore) throws {
        guard let directory = store as? DirectoryStore else {
            file = nil
            return
        }
        let lease = try BackupLease.place(label, incarnation, directory)
        let file = try Descriptor(open: lease, O_RDWR | O_CREAT)
        guard try file.tryLock(path: lease.path) else { return nil }
        self.file = consume file
    }
}
