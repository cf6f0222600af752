import CLinux
public import Glibc

/// What stat(2) says of a file, as far as tidemark asks.
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
    /// Last change of content or attributes, in microseconds since 1970; the kernel sets it, nobody else can.
    public let changed: Int64
    public let device: UInt64
    public let inode: UInt64

    init(_ raw: Glibc.stat) {
        kind =
            switch raw.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        size = Int64(raw.st_size)
        allocated = Int64(raw.st_blocks) * 512
        mode = raw.st_mode & 0o7777
        owner = raw.st_uid
        group = raw.st_gid
        modified = Int64(raw.st_mtim.tv_sec) * 1_000_000 + Int64(raw.st_mtim.tv_nsec) / 1000
        changed = Int64(raw.st_ctim.tv_sec) * 1_000_000 + Int64(raw.st_ctim.tv_nsec) / 1000
        device = UInt64(raw.st_dev)
        inode = UInt64(raw.st_ino)
    }

    /// Follows symbolic links; throws when nothing is there.
    public init(of path: String) throws(SystemError) {
        var raw = Glibc.stat()
        _ = try retrying(.stat, path) { fstatat(AT_FDCWD, path, &raw, 0) }
        self.init(raw)
    }

    /// Follows symbolic links; nil when nothing is there.
    public init?(ifPresent path: String) throws(SystemError) {
        do throws(SystemError) { try self.init(of: path) } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
    }

    /// Does not follow a symbolic link; nil when nothing is there.
    public init?(ofLinkItself path: String) throws(SystemError) {
        var raw = Glibc.stat()
        do throws(SystemError) {
            _ = try retrying(.stat, path) { fstatat(AT_FDCWD, path, &raw, AT_SYMLINK_NOFOLLOW) }
        } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
        self.init(raw)
    }
}

public enum Files {
    /// The whole content of a small file; refuses one larger than `limit` bytes.
    public static func read(_ path: String, limit: Int = 64 << 20) throws -> [UInt8] {
        let file = try Descriptor(open: path, O_RDONLY)
        let size = try file.status(path: path).size
        guard size <= limit else {
            throw Problem(
                "file \"\(path)\" is too large", detail: "It has \(size) bytes; at most \(limit) were expected.")
        }
        // Files of /proc have contents, and no size.
        var bytes = [UInt8](repeating: 0, count: size == 0 ? min(limit, 64 << 10) : Int(size))
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, path: path) }
        if count < bytes.count { bytes.removeLast(bytes.count - count) }
        return bytes
    }

    public static func readText(_ path: String, limit: Int = 64 << 20) throws -> String {
        String(decoding: try read(path, limit: limit), as: UTF8.self)
    }

    /// Names in a directory, without `.` and `..`, in no order. In a name that isn't UTF-8 U+FFFD stands for what is
    /// not, and nothing is found by it.
    public static func list(_ directory: String) throws(SystemError) -> [String] {
        var names: [String] = []
        try visit(directory) {
            names.append($0)
            return true
        }
        return names
    }

    /// Whether a directory holds anything whose name doesn't start with a dot.
    public static func holdsVisible(_ directory: String) throws(SystemError) -> Bool {
        var found = false
        try visit(directory) {
            found = !$0.hasPrefix(".")
            return !found
        }
        return found
    }

    /// As `list`, a name at a time: for directories of any size.
    public static func forEachName(in directory: String, _ body: (String) throws -> Void) throws {
        var failure: (any Error)?
        try visit(directory) {
            do { try body($0) } catch { failure = error }
            return failure == nil
        }
        if let failure { throw failure }
    }

    /// Until `take` returns false.
    private static func visit(_ directory: String, _ take: (String) -> Bool) throws(SystemError) {
        var opened: OpaquePointer?
        _ = try retrying(.openDirectory, directory) {
            opened = opendir(directory)
            return opened == nil ? -1 : 0
        }
        guard let handle = opened else { return }
        defer { closedir(handle) }
        while true {
            errno = 0
            guard let entry = readdir(handle) else {
                if errno != 0 { throw SystemError(.openDirectory, directory) }
                return
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != "." && name != ".." else { continue }
            guard take(name) else { return }
        }
    }

    /// As `list`, but empty when the directory isn't there.
    public static func listIfPresent(_ directory: String) throws(SystemError) -> [String] {
        do throws(SystemError) { return try list(directory) } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
    }

    public static func exists(_ path: String) throws(SystemError) -> Bool { try FileStatus(ifPresent: path) != nil }

    /// Creates `path` and what is missing above it; each new directory's entry is fsynced in its parent, so that an
    /// object stored inside cannot lose the road to it.
    public static func makeDirectories(_ path: String, mode: mode_t = 0o750) throws(SystemError) {
        // An empty parent may be removed again by an expiration. And some are there and take no directories, such as /proc.
        var parentsToMake = 3
        while true {
            do throws(SystemError) {
                _ = try retrying(.makeDirectory, path) { mkdir(path, mode) }
                break
            } catch {
                switch error.code {
                case EEXIST: return
                case ENOENT where parentsToMake > 0 && path != "/" && !path.isEmpty:
                    parentsToMake -= 1
                    try makeDirectories(parent(path), mode: mode)
                    // Somebody else may have made it in this moment, and die before its entry is durable.
                    try synchronizeDirectory(parent(parent(path)))
                default: throw error
                }
            }
        }
        try synchronizeDirectory(parent(path))
    }

    public static func synchronizeDirectory(_ path: String) throws(SystemError) {
        let directory = try Descriptor(open: path, O_RDONLY | O_DIRECTORY)
        try directory.synchronize(path: path)
    }

    /// Flushes the whole file system that holds `path`: syncfs(2).
    public static func synchronizeFileSystem(of path: String) throws(SystemError) {
        let directory = try Descriptor(open: path, O_RDONLY)
        _ = try retrying(.fsync, path) { clinux_syncfs(directory.raw) }
    }

    public static func remove(_ path: String) throws(SystemError) {
        _ = try retrying(.unlink, path) { unlink(path) }
    }

    public static func removeIfPresent(_ path: String) throws(SystemError) {
        do throws(SystemError) { try remove(path) } catch { if error.code != ENOENT { throw error } }
    }

    /// Removes a file or a directory with everything in it; symbolic links are removed, never followed.
    public static func removeTree(_ path: String) throws(SystemError) {
        guard let status = try FileStatus(ofLinkItself: path) else { return }
        guard status.kind == .directory else { return try remove(path) }
        var attemptsLeft = 3
        while true {
            for name in try list(path) { try removeTree(path + "/" + name) }
            do throws(SystemError) {
                _ = try retrying(.removeDirectory, path) { rmdir(path) }
                return
            } catch {
                // Somebody has put something there meanwhile.
                attemptsLeft -= 1
                if error.code != ENOTEMPTY || attemptsLeft == 0 { throw error }
            }
        }
    }

    /// Bytes that a directory with everything in it takes on disk. What vanishes meanwhile doesn't count.
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

    /// Gives a file a further name; fails with `EEXIST` when that is taken.
    public static func link(_ from: String, to: String) throws(SystemError) {
        _ = try retrying(.link, to) { Glibc.link(from, to) }
    }

    /// Where a symbolic link points, as it was written; fails with `EILSEQ` for what isn't UTF-8.
    public static func readLink(_ path: String) throws(SystemError) -> String {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = try retrying(.readLink, path) { readlink(path, &bytes, bytes.count - 1) }
        guard let text = String(validating: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) else {
            throw SystemError(.readLink, path, code: EILSEQ)
        }
        return text
    }

    /// Everything before the last slash; `.` when there is none.
    public static func parent(_ path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// What follows the last slash.
    public static func name(_ path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return String(trimmed) }
        return String(trimmed[trimmed.index(after: slash)...])
    }

    /// Free and total bytes, for unprivileged users, of the file system that holds `path`. One that doesn't count, such as
    /// ramfs, has a total of 0 and any number free.
    public static func space(at path: String) throws(SystemError) -> (free: Int64, total: Int64) {
        var raw = statvfs()
        _ = try retrying(.statFileSystem, path) { statvfs(path, &raw) }
        let total = Int64(raw.f_blocks) * Int64(raw.f_frsize)
        return (total > 0 ? Int64(raw.f_bavail) * Int64(raw.f_frsize) : .max, total)
    }
}
