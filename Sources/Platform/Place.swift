import CLinux
public import Glibc

/// A directory that is held open: what is below it is found from here, whatever its name leads to meanwhile. A file system
/// can be unmounted under a name, or another be mounted over it; neither changes what is held.
public final class HeldDirectory: Sendable {
    public let path: String
    private let descriptor: Descriptor
    var raw: Int32 { descriptor.raw }

    public init(_ path: String) throws(SystemError) {
        self.path = path
        descriptor = try Descriptor(open: path, O_RDONLY | O_DIRECTORY)
    }
}

/// The name of a file, looked up from a directory that is held open or, without one, as a path.
public struct Place: Sendable, CustomStringConvertible {
    /// The whole path, for messages; and what everybody else will find the file by.
    public let path: String
    /// Nil for an ordinary path.
    public let directory: HeldDirectory?
    /// Relative to the held directory, `.` for itself; else the path.
    let name: String

    public init(_ path: String) { (self.path, directory, name) = (path, nil, path) }

    /// - Parameter name: relative to the directory, and without `..`; `.` is the directory itself.
    public init(_ name: String, in directory: HeldDirectory) {
        self.directory = directory
        self.name = name
        path = name == "." ? directory.path : directory.path + "/" + name
    }

    var raw: Int32 { directory?.raw ?? AT_FDCWD }
    public var description: String { path }

    public func appending(_ part: String) -> Place {
        guard let directory else { return Place(path + "/" + part) }
        return Place(name == "." ? part : name + "/" + part, in: directory)
    }

    /// Where it lies; nil for the held directory, above which nothing is known.
    public var parent: Place? {
        guard let directory else { return path == "/" || path.isEmpty ? nil : Place(Files.parent(path)) }
        return name == "." ? nil : Place(name.contains("/") ? Files.parent(name) : ".", in: directory)
    }
}

/// What was written below a held directory isn't found by its path: something else is mounted there now, or nothing.
public struct PlaceLost: Error, Equatable {
    public let path: String
}

extension Files {
    public static func makeDirectories(_ path: String, mode: mode_t = 0o750) throws(SystemError) {
        try makeDirectories(Place(path), mode: mode)
    }

    /// Creates a directory and what is missing above it, but never the held one; each new directory's entry is fsynced in
    /// its parent, so that an object stored inside cannot lose the road to it.
    public static func makeDirectories(_ place: Place, mode: mode_t = 0o750) throws(SystemError) {
        // An empty parent may be removed again by an expiration. And some are there and take no directories, such as /proc.
        var parentsToMake = 3
        while true {
            do throws(SystemError) {
                _ = try retrying(.makeDirectory, place.path) { mkdirat(place.raw, place.name, mode) }
                break
            } catch {
                if error.code == EEXIST { return }
                guard error.code == ENOENT, parentsToMake > 0, let parent = place.parent else { throw error }
                parentsToMake -= 1
                try makeDirectories(parent, mode: mode)
                // Somebody else may have made it in this moment, and die before its entry is durable.
                if let above = parent.parent { try synchronizeDirectory(above) }
            }
        }
        if let parent = place.parent { try synchronizeDirectory(parent) }
    }

    /// Makes a directory's entries durable. Some file systems can't do that for one directory (CIFS, some of FUSE: EINVAL,
    /// which PostgreSQL takes for success, `fsync_fname_ext` in src/common/file_utils.c); there the whole file system is flushed.
    public static func synchronizeDirectory(_ place: Place) throws(SystemError) {
        let directory = try Descriptor(open: place, O_RDONLY | O_DIRECTORY)
        do throws(SystemError) { try directory.synchronize(path: place.path) } catch {
            guard error.code == EINVAL else { throw error }
            _ = try retrying(.fsync, place.path) { clinux_syncfs(directory.raw) }
        }
    }

    public static func remove(_ place: Place) throws(SystemError) {
        _ = try retrying(.unlink, place.path) { unlinkat(place.raw, place.name, 0) }
    }

    public static func removeIfPresent(_ place: Place) throws(SystemError) {
        do throws(SystemError) { try remove(place) } catch { if error.code != ENOENT { throw error } }
    }

    public static func removeTree(_ path: String) throws(SystemError) { try removeTree(Place(path)) }

    /// Removes a file or a directory with everything in it; symbolic links are removed, never followed.
    public static func removeTree(_ place: Place) throws(SystemError) {
        guard let status = try FileStatus(ofLinkItself: place) else { return }
        guard status.kind == .directory else { return try remove(place) }
        var attemptsLeft = 3
        while true {
            for name in try list(place) { try removeTree(place.appending(name)) }
            do throws(SystemError) {
                _ = try retrying(.removeDirectory, place.path) { unlinkat(place.raw, place.name, AT_REMOVEDIR) }
                return
            } catch {
                // Somebody has put something there meanwhile.
                attemptsLeft -= 1
                if error.code != ENOTEMPTY || attemptsLeft == 0 { throw error }
            }
        }
    }

    /// Gives a file a further name; fails with `EEXIST` when that is taken.
    public static func link(_ from: Place, to: Place) throws(SystemError) {
        _ = try retrying(.link, to.path) { linkat(from.raw, from.name, to.raw, to.name, 0) }
    }
}
