import Archiving
import Configuration
import Glibc
import Platform
import Repository

/// Root gives up root: tidemark works as the owner of what it works on.
enum Ownership {
    /// Becomes the owner of the cluster's data directory, or of its repository when there is no data directory (any
    /// more); does nothing when not root, or when root owns both.
    static func become(ownerFor cluster: ClusterConfiguration) throws {
        guard geteuid() == 0, let owner = try owner(for: cluster), owner.owner != 0 else { return }
        try become(user: owner.owner, group: owner.group)
    }

    /// Who owns the data directory, else the repository.
    static func owner(for cluster: ClusterConfiguration) throws -> FileStatus? {
        try FileStatus(ifPresent: cluster.dataDirectory)
            ?? cluster.openRepository().localDirectory?.status(of: cluster.name)
    }

    private static func become(user: uid_t, group: gid_t) throws {
        var name = "\(user)"
        if let entry = getpwuid(user) {
            name = String(cString: entry.pointee.pw_name)
            // libpq and the programs tidemark starts look here for .pgpass and the like.
            setenv("HOME", String(cString: entry.pointee.pw_dir), 1)
            setenv("USER", name, 1)
            setenv("LOGNAME", name, 1)
        }
        guard initgroups(name, group) == 0, setgid(group) == 0, setuid(user) == 0 else {
            throw SystemError(.kernel, "user \(name)")
        }
    }

    /// Makes a directory that root alone may make, and gives it to the cluster's owner; does nothing when it is there.
    static func makeDirectory(_ path: String, for cluster: ClusterConfiguration) throws {
        guard geteuid() == 0, try !Files.exists(path) else { return }
        try Files.makeDirectories(path)
        guard let owner = try owner(for: cluster) else { return }
        // Whoever may write beside it could have put a link in its place.
        let directory = try Descriptor(open: path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        _ = try retrying(.changeOwner, path) { fchown(directory.raw, owner.owner, owner.group) }
    }
}
