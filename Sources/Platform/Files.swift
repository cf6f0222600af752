import CLinux
public import Glibc

/// The result of stat(2), as far as tidemark uses it.
public struct FileStatus: Sendable, Equatable {
    public enum Kind: Sendable { case regular, directory, symbolicLink, other }
    public let kind: Kind
    /// Bytes.
    public let size: Int64
    /// Bytes it takes on disk: less than `size` where it has holes.
    public let allocated: Int64
    /// Permission bits.
    public let mode: mode_t
    public let owner: uid_t
    public let group: gid_t
    /// Last change of the content, in microseconds since 1970.
    public let modified: Int64
    /// Last change of content or attributes, in microseconds since 1970; only the kernel can set it.
    public let changed: Int64
    public let device: UInt64
    public let inode: UInt64
    /// The number of its hard links.
    public let names: Int

    init(_ raw: Glibc.stat) {
        kind =
            switch raw.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        size = Int64(raw.st_size)
        // A made-up file system may report any number, and the sizes are added up.
        allocated = Int64(min(max(raw.st_blocks, 0), 1 << 44)) * 512
        mode = raw.st_mode & 0o7777
        owner = raw.st_uid
        group = raw.st_gid
        modified = FileStatus.microseconds(raw.st_mtim)
        changed = FileStatus.microseconds(raw.st_ctim)
        device = UInt64(raw.st_dev)
        inode = UInt64(raw.st_ino)
        names = Int(raw.st_nlink)
    }

    /// A file's time can be set to any number of seconds (utimensat(2)); values further than 139,000 years from 1970
    /// are clamped, so that differences don't overflow.
    private static func microseconds(_ time: timespec) -> Int64 {
        let bound = 1 << 42
        return Int64(min(max(time.tv_sec, -bound), bound)) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    /// Follows symbolic links; throws when the file doesn't exist.
    public init(of path: String) throws(SystemError) { try self.init(Place(path), 0) }
    public init(of place: Place) throws(SystemError) { try self.init(place, 0) }

    /// Follows symbolic links; nil when the file doesn't exist.
    public init?(ifPresent path: String) throws(SystemError) { try self.init(ifPresent: Place(path)) }
    public init?(ifPresent place: Place) throws(SystemError) {
        do throws(SystemError) { try self.init(place, 0) } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
    }

    /// Does not follow a symbolic link; nil when it doesn't exist.
    public init?(ofLinkItself path: String) throws(SystemError) { try self.init(ofLinkItself: Place(path)) }
    public init?(ofLinkItself place: Place) throws(SystemError) {
        do throws(SystemError) { try self.init(place, AT_SYMLINK_NOFOLLOW) } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
    }

    private init(_ place: Place, _ flags: Int32) throws(SystemError) {
        var raw = Glibc.stat()
        let flags = place.isConfined ? AT_SYMLINK_NOFOLLOW : flags
        _ = try retrying(.stat, place.path) { place.anchored { fstatat($0, $1, &raw, flags) } }
        self.init(raw)
    }

    /// Whether both are one and the same file.
    public func isSame(as other: FileStatus) -> Bool { (device, inode) == (other.device, other.inode) }
}

public enum Files {
    /// The whole content of a small file; throws for one larger than `limit` bytes.
    public static func read(_ path: String, limit: Int = 64 << 20) throws -> [UInt8] {
        let file = try Descriptor(open: path, O_RDONLY)
        let status = try file.status(path: path)
        // Reading a directory fails by itself; a FIFO may have no writer, and a device may never end.
        guard status.kind != .other else { throw Problem("\"\(path)\" is not an ordinary file") }
        let size = status.size
        guard size <= limit else {
            throw Problem(
                "file \"\(path)\" is too large", detail: "It has \(size) bytes; at most \(limit) were expected.")
        }
        // Files of /proc have contents, but no size.
        let piece = size == 0 ? 64 << 10 : Int(size)
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let (start, wanted) = (bytes.count, min(piece, limit - bytes.count))
            bytes.append(contentsOf: [UInt8](repeating: 0, count: wanted))
            let count = try bytes[start...].withUnsafeMutableBytes { try file.read(into: $0, path: path) }
            if count < wanted { bytes.removeLast(wanted - count) }
            if count < wanted || size > 0 { break }
        }
        return bytes
    }

    public static func readText(_ path: String, limit: Int = 64 << 20) throws -> String {
        String(decoding: try read(path, limit: limit), as: UTF8.self)
    }

    /// Names in a directory, without `.` and `..`, in no order. In a name that isn't UTF-8, U+FFFD replaces the invalid
    /// bytes, so the file can't be opened by it.
    public static func list(_ directory: String) throws(SystemError) -> [String] { try list(Place(directory)) }
    public static func list(_ directory: Place) throws(SystemError) -> [String] {
        var names: [String] = []
        try visit(directory) {
            names.append($0)
            return true
        }
        return names
    }

    /// Whether a directory contains a name that doesn't start with a dot.
    public static func holdsVisible(_ directory: Place) throws(SystemError) -> Bool {
        var found = false
        try visit(directory) {
            found = !$0.hasPrefix(".")
            return !found
        }
        return found
    }

    /// As `list`, one name at a time: for directories of any size.
    public static func forEachName(in directory: Place, _ body: (String) throws -> Void) throws {
        var failure: (any Error)?
        try visit(directory) {
            do { try body($0) } catch { failure = error }
            return failure == nil
        }
        if let failure { throw failure }
    }

    /// Until `take` returns false.
    private static func visit(_ directory: Place, _ take: (String) -> Bool) throws(SystemError) {
        try visitNames(directory) { take(String(cString: $0)) }
    }

    /// As above, with the bytes of each name as the kernel has them.
    static func visitNames(
        _ directory: Place, _ take: (UnsafePointer<CChar>) -> Bool
    ) throws(SystemError) {
        var opened: OpaquePointer?
        _ = try retrying(.openDirectory, directory.path) {
            let descriptor = directory.opened(O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0)
            guard descriptor >= 0 else { return Int32(-1) }
            opened = fdopendir(descriptor)
            if opened == nil { clinux_close_quietly(descriptor) }
            return opened == nil ? -1 : 0
        }
        guard let handle = opened else { return }
        defer { closedir(handle) }
        while true {
            var next: UnsafeMutablePointer<dirent>?
            let found = clinux_next_entry(handle, &next)
            guard found >= 0 else { throw SystemError(.openDirectory, directory.path, code: -found) }
            guard let entry = next else { return }
            let goesOn = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || take(name)
                }
            }
            guard goesOn else { return }
        }
    }

    /// As `list`, but empty when the directory doesn't exist.
    public static func listIfPresent(_ directory: String) throws(SystemError) -> [String] {
        try listIfPresent(Place(directory))
    }
    public static func listIfPresent(_ directory: Place) throws(SystemError) -> [String] {
        do throws(SystemError) { return try list(directory) } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
    }

    public static func exists(_ path: String) throws(SystemError) -> Bool { try FileStatus(ifPresent: path) != nil }
    public static func exists(_ place: Place) throws(SystemError) -> Bool { try FileStatus(ifPresent: place) != nil }

    public static func synchronizeDirectory(_ path: String) throws(SystemError) {
        try synchronizeDirectory(Place(path))
    }

    /// Flushes the whole file system that holds `path`: syncfs(2).
    public static func synchronizeFileSystem(of path: String) throws(SystemError) {
        let directory = try Descriptor(open: path, O_RDONLY)
        _ = try retrying(.fsync, path) { clinux_syncfs(directory.raw) }
    }

    public static func remove(_ path: String) throws(SystemError) { try remove(Place(path)) }

    public static func removeIfPresent(_ path: String) throws(SystemError) { try removeIfPresent(Place(path)) }

    /// Bytes that a directory and its contents take on disk. Files that vanish meanwhile don't count.
    public static func allocated(in path: String) throws(SystemError) -> Int64 {
        guard let status = try FileStatus(ofLinkItself: path) else { return 0 }
        guard status.kind == .directory else { return status.allocated }
        var total = status.allocated
        for name in try listIfPresent(path) { total += try allocated(in: path + "/" + name) }
        return total
    }

    public static func rename(_ from: String, to: String) throws(SystemError) {
        _ = try retrying(.rename, from) { Glibc.rename(from, to) }
    }

    /// Creates a hard link; fails with `EEXIST` when the name is taken.
    public static func link(_ from: String, to: String) throws(SystemError) {
        try link(Place(from), to: Place(to))
    }

    /// The target of a symbolic link, unresolved; fails with `EILSEQ` if it isn't UTF-8.
    public static func readLink(_ path: String) throws(SystemError) -> String { try readLink(Place(path)) }
    public static func readLink(_ place: Place) throws(SystemError) -> String {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = try retrying(.readLink, place.path) {
            place.anchored { readlinkat($0, $1, &bytes, bytes.count - 1) }
        }
        guard let text = String(validating: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) else {
            throw SystemError(.readLink, place.path, code: EILSEQ)
        }
        return text
    }

    /// The path with symbolic links, `.` and `..` resolved; a path that doesn't exist is returned unchanged.
    public static func resolved(_ path: String) -> String {
        guard let found = realpath(path, nil) else { return path }
        defer { free(found) }
        return String(cString: found)
    }

    /// The components of a path. Split by bytes: a slash and an accent that combines with it are one `Character`, which
    /// equals no slash; the kernel sees it nevertheless.
    public static func names(in path: some StringProtocol, maxSplits: Int = .max) -> [Substring] {
        String(path).utf8.split(
            separator: UInt8(ascii: "/"), maxSplits: maxSplits, omittingEmptySubsequences: false
        ).map { Substring($0) }
    }

    /// Everything before the last slash; `.` when there is none.
    public static func parent(_ path: String) -> String {
        var trimmed = path[...]
        while trimmed.utf8.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        guard let slash = trimmed.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// What follows the last slash.
    public static func name(_ path: String) -> String {
        var trimmed = path[...]
        while trimmed.utf8.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        guard let slash = trimmed.utf8.lastIndex(of: UInt8(ascii: "/")) else { return String(trimmed) }
        return String(trimmed[trimmed.utf8.index(after: slash)...])
    }

    /// Free and total bytes, for unprivileged users, of the file system of `path`. One that doesn't count, such as
    /// ramfs, has a total of 0 and any number free.
    public static func space(at path: String) throws(SystemError) -> (free: Int64, total: Int64) {
        var raw = statvfs()
        _ = try retrying(.statFileSystem, path) { statvfs(path, &raw) }
        return space(blocks: UInt64(raw.f_blocks), available: UInt64(raw.f_bavail), of: UInt64(raw.f_frsize))
    }

    /// A server may report a negative number of available blocks when quotas exceed the space, which appears as a
    /// number beyond all disks; so may a file system without a limit.
    static func space(blocks: UInt64, available: UInt64, of size: UInt64) -> (free: Int64, total: Int64) {
        func bytes(_ blocks: UInt64) -> Int64 {
            let (bytes, isTooMany) = blocks.multipliedReportingOverflow(by: size)
            return isTooMany ? .max : Int64(clamping: bytes)
        }
        let total = bytes(blocks)
        let isNegative = available > UInt64(Int64.max) && blocks <= UInt64(Int64.max)
        return (isNegative ? 0 : total > 0 ? bytes(available) : .max, total)
    }
}
