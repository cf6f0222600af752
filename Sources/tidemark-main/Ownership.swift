import Archiving
import Configuration
import Glibc
import Platform
import Repository

/// Root gives up root: tidemark works as the owner of the cluster's files.
enum Ownership {
    /// Becomes the owner of the cluster's data directory, or of its repository when there is no data directory or root
    /// owns it; does nothing when not root, or when root owns both.
    static func become(ownerFor cluster: ClusterConfiguration) throws {
        guard geteuid() == 0, let owner = try owner(for: cluster), owner.owner != 0 else { return }
        try become(user: owner.owner, group: owner.group)
    }

    /// The owner of the data directory, else of the repository. No server runs as root (`check_root`,
    /// src/backend/main/main.c), so a directory of root's was only made for it.
    static func owner(for cluster: ClusterConfiguration) throws -> FileStatus? {
        if let owner = try FileStatus(ifPresent: cluster.dataDirectory), owner.owner != 0 { return owner }
        return try cluster.openRepository().localDirectory?.status(of: cluster.name)
    }

    private static func become(user: uid_t, group: gid_t) throws {
        var name = "\(user)"
        if let entry = getpwuid(user) {
            name = String(cString: entry.pointee.pw_name)
            // libpq and the programs that tidemark starts look here for .pgpass and other files.
            setenv("HOME", String(cString: entry.pointee.pw_dir), 1)
            setenv("USER", name, 1)
            setenv("LOGNAME", name, 1)
            offerCommands(asOwner: name, hasSudo: getenv("SUDO_USER") != nil)
        }
        _ = try retrying(.kernel, "user \(name)") {
            initgroups(name, group) == 0 && setgid(group) == 0 ? setuid(user) : -1
        }
    }

    /// Creates a directory that only root may create, and gives it to the cluster's owner; does nothing when it exists.
    static func makeDirectory(_ path: String, for cluster: ClusterConfiguration) throws {
        guard geteuid() == 0, try !Files.exists(path) else { return }
        try Files.makeDirectories(path)
        guard let owner = try owner(for: cluster) else { return }
        // A user who may write to its parent could have replaced it by a link.
        let directory = try Descriptor(open: path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        _ = try retrying(.changeOwner, path) { fchown(directory.raw, owner.owner, owner.group) }
    }
}
