import BaseBackup
import DataDirectory
import Glibc
public import Platform
import WAL

/// A data directory that a recovery is to take the place of.
public struct OldDirectory: Sendable, Equatable {
    public let path: String
    /// The same without symbolic links: what is renamed.
    private let place: String
    private let inode: UInt64

    /// Nil when there is nothing to set aside: no directory, an empty one, or one that a restore left half done.
    /// - Throws: `TargetInUse` when a server runs on it, or when it is no data directory.
    public init?(_ path: String) throws {
        self.path = path
        place = OldDirectory.resolved(path)
        try refuseIfInUse(path)
        if try FileStatus(ofLinkItself: path)?.kind == .symbolicLink, try !Files.exists(path) {
            throw Problem(
                "cannot recover into directory \"\(path)\"",
                detail: "It is a symbolic link to \"\(try Files.readLink(path))\", which does not exist.",
                hint: "Mount or make what it points to, or remove the link.")
        }
        guard try Files.exists(path), try !holdsNothing(path), try !isUnfinishedRestore(path) else { return nil }
        guard try Files.exists(path + "/PG_VERSION") else {
            throw NotADataDirectory(path: path)
        }
        inode = try FileStatus(of: place).inode
    }

    /// Refuses a directory that cannot be renamed because something is mounted there.
    /// - Throws: `Problem`.
    public func refuseIfMounted() throws {
        guard try MountPoints.contain(place) else { return }
        throw Problem(
            "cannot rename directory \"\(place)\"", detail: "It is a mount point.",
            hint:
                "Move what is in it elsewhere and recover into the empty mount point; or use --delta, which rewrites only "
                + "what differs and keeps nothing of what was there.")
    }

    private static func resolved(_ path: String) -> String {
        guard let found = realpath(path, nil) else { return path }
        defer { free(found) }
        return String(cString: found)
    }

    /// Renames the directory, and each tablespace's folder of this version, to `….before-<time>`; nothing is removed.
    ///
    /// - Returns: old and new names, the directory's own last.
    public func setAside(stamp: String) throws -> [(from: String, to: String)] {
        let directory = DataDirectory(path)
        var renamed: [(from: String, to: String)] = []
        func rename(_ from: String) throws {
            let to = "\(from).before-\(stamp)"
            guard try !Files.exists(to) else { throw Problem("\"\(to)\" exists already") }
            try Files.rename(from, to: to)
            try Files.synchronizeDirectory(Files.parent(from))
            renamed.append((from, to))
        }
        var folders: [String] = []
        if let control = try? directory.controlFile(), let major = try? directory.majorVersion() {
            let folder = DataDirectory.tablespaceFolder(major: major, catalogVersion: control.catalogVersion)
            for link in try directory.tablespaces() where !link.isInPlace {
                let place = link.location + "/" + folder
                if try Files.exists(place) { folders.append(place) }
            }
        }
        // The directory is the last, because its links lead to the others: whoever is killed in between goes on.
        do { for place in folders + [place] { try rename(place) } } catch {
            for (from, to) in renamed { try? Files.rename(to, to: from) }
            throw error
        }
        // A symbolic link still leads to where the directory was: to the disk that somebody chose for it.
        if place != path, try FileStatus(ofLinkItself: path)?.kind == .symbolicLink {
            try Files.makeDirectories(place, mode: 0o700)
        }
        return renamed
    }
}

/// Where file systems are mounted, as /proc/self/mountinfo tells (proc(5)).
enum MountPoints {
    static func contain(_ path: String) throws -> Bool {
        try Files.readText("/proc/self/mountinfo").split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 4 && unescaped(fields[4]) == path
        }
    }

    /// Blanks and backslashes are written as three octal digits.
    private static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = field.utf8
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), let code = UInt8(Substring(rest.prefix(3)), radix: 8) {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A directory full of something else.
public struct NotADataDirectory: Explained, Equatable {
    public let path: String
    public var message: String { "cannot recover into directory \"\(path)\"" }
    public var detail: String? { "It is not empty, and it is not a data directory." }
    public var hint: String? { "Name another directory with --data-directory." }
}
