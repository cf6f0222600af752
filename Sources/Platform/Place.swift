import Glibc

/// A directory that is held open: names below it are looked up from here, even if its own name leads elsewhere
/// meanwhile. An unmount or a mount over its name doesn't change what is held.
public final class HeldDirectory: Sendable {
    public let path: String
    /// Whether symbolic links below it are never followed: a name looked up from here is within it, even if a link
    /// replaces a directory at that moment. A call that meets a link fails with ELOOP.
    public let isConfined: Bool
    private let descriptor: Descriptor
    var raw: Int32 { descriptor.raw }

    public init(_ path: String) throws(SystemError) {
        self.path = path
        isConfined = false
        descriptor = try Descriptor(open: path, O_RDONLY | O_DIRECTORY)
    }

    /// - Parameter followsLink: whether the target is held where `path` itself is a symbolic link; otherwise that fails
    ///   with ENOTDIR or ELOOP.
    public init(confining path: String, followsLink: Bool = true) throws(SystemError) {
        self.path = path
        isConfined = true
        descriptor = try Descriptor(open: path, O_RDONLY | O_DIRECTORY | (followsLink ? 0 : O_NOFOLLOW))
    }

    /// As above, looked up from a held directory.
    public init(confining place: Place) throws(SystemError) {
        path = place.path
        isConfined = true
        descriptor = try Descriptor(open: place, O_RDONLY | O_DIRECTORY)
    }

    /// As above; fails with EXDEV when it is a mount point.
    init(
        onMountOf above: HeldDirectory, _ name: String, hasOneCall: Bool = Beneath.hasOneCall
    ) throws(SystemError) {
        path = above.path + "/" + name
        isConfined = true
        descriptor = Descriptor(
            adopting: try retrying(.open, path) {
                Beneath.openOnSameMount(above.raw, name, hasOneCall: hasOneCall)
            })
    }

    /// The target of a symbolic link, or a directory, of that name.
    public init(following link: Place) throws(SystemError) {
        path = link.path
        isConfined = true
        descriptor = Descriptor(
            adopting: try retrying(.open, link.path) {
                link.anchored { openat($0, $1, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC) }
            })
    }

    public func status() throws(SystemError) -> FileStatus { try descriptor.status(path: path) }

    /// Its present path without symbolic links; nil without /proc.
    public var realPath: String? { try? Files.readLink("/proc/self/fd/\(raw)") }
}

/// The name of a file, looked up from a directory that is held open or, without one, as a path.
public struct Place: Sendable, CustomStringConvertible {
    /// The whole path, for messages; other processes look the file up by it.
    public let path: String
    /// Nil for an ordinary path.
    public let directory: HeldDirectory?
    /// Relative to the held directory, `.` for itself; else the path.
    let name: String

    public init(_ path: String) { (self.path, directory, name) = (path, nil, path) }

    /// - Parameter name: relative to the directory, without `..`; `.` is the directory itself.
    public init(_ name: String, in directory: HeldDirectory) {
        self.directory = directory
        self.name = name
        path = name == "." ? directory.path : directory.path + "/" + name
    }

    var raw: Int32 { directory?.raw ?? AT_FDCWD }
    var isConfined: Bool { directory?.isConfined == true }
    public var description: String { path }

    public func appending(_ part: String) -> Place {
        guard let directory else { return Place(path + "/" + part) }
        return Place(name == "." ? part : name + "/" + part, in: directory)
    }

    /// The present path without symbolic links, if there is none below the held directory; nil when unknown.
    public var realPath: String? {
        guard let directory else { return Files.resolved(path) }
        return directory.realPath.map { name == "." ? $0 : $0 + "/" + name }
    }

    /// The parent; nil for the held directory, whose parent isn't known.
    public var parent: Place? {
        guard let directory else { return path == "/" || path.isEmpty ? nil : Place(Files.parent(path)) }
        return name == "." ? nil : Place(name.contains("/") ? Files.parent(name) : ".", in: directory)
    }
}

/// A file written below a held directory isn't found by its path: the path leads to another mount now, or nowhere.
public struct PlaceLost: Error, Equatable {
    public let path: String
}
