import Glibc

/// A directory that is held open: what is below it is found from here, whatever its name leads to meanwhile. A file system
/// can be unmounted under a name, or another be mounted over it; neither changes what is held.
public final class HeldDirectory: Sendable {
    public let path: String
    /// No symbolic link is followed below it: what is found from here is in it, even where somebody puts a link in the place
    /// of a directory at that moment. A call that comes upon one fails with ELOOP.
    public let isConfined: Bool
    private let descriptor: Descriptor
    var raw: Int32 { descriptor.raw }

    public init(_ path: String) throws(SystemError) {
        self.path = path
        isConfined = false
        descriptor = try Descriptor(open: path, O_RDONLY | O_DIRECTORY)
    }

    /// - Parameter followsLink: where `path` itself is a symbolic link, what it leads to is held; otherwise it fails with
    ///   ENOTDIR or ELOOP.
    public init(confining path: String, followsLink: Bool = true) throws(SystemError) {
        self.path = path
        isConfined = true
        descriptor = try Descriptor(open: path, O_RDONLY | O_DIRECTORY | (followsLink ? 0 : O_NOFOLLOW))
    }

    /// As above, found from a directory that is held.
    public init(confining place: Place) throws(SystemError) {
        path = place.path
        isConfined = true
        descriptor = try Descriptor(open: place, O_RDONLY | O_DIRECTORY)
    }

    /// As above, unless something is mounted there: EXDEV.
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

    /// What a symbolic link, or a directory, of that name leads to.
    public init(following link: Place) throws(SystemError) {
        path = link.path
        isConfined = true
        descriptor = Descriptor(
            adopting: try retrying(.open, link.path) {
                link.anchored { openat($0, $1, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC) }
            })
    }

    public func status() throws(SystemError) -> FileStatus { try descriptor.status(path: path) }

    /// Where it is now, without symbolic links; nil without /proc.
    public var realPath: String? { try? Files.readLink("/proc/self/fd/\(raw)") }
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
    var isConfined: Bool { directory?.isConfined == true }
    public var description: String { path }

    public func appending(_ part: String) -> Place {
        guard let directory else { return Place(path + "/" + part) }
        return Place(name == "." ? part : name + "/" + part, in: directory)
    }

    /// The path without symbolic links where it is now, if none is below the held directory; nil where that can't be told.
    public var realPath: String? {
        guard let directory else { return Files.resolved(path) }
        return directory.realPath.map { name == "." ? $0 : $0 + "/" + name }
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
