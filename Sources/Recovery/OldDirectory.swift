import BaseBackup
import DataDirectory
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
        place = Files.resolved(path)
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
        guard try MountTable().isMountPoint(place) else { return }
        throw Problem(
            "cannot rename directory \"\(place)\"", detail: "It is a mount point.",
            hint:
                "Move what is in it elsewhere and recover into the empty mount point; or use --delta, which rewrites only "
                + "what differs and keeps nothing of what was there.")
    }

    /// Renames the directory, and each tablespace's folder of this version, to `….before-<time>`; nothing is removed.
    ///
    /// - Returns: old and new names, the directory's own last.
    public func setAside(stamp: String) throws -> [(from: String, to: String)] {
        let directory = DataDirectory(path)
        var renamed: [(from: String, to: String)] = []
        func rename(_ from: String) throws {
            var to = "\(from).before-\(stamp)"
            // Two recoveries within a second.
            var number = 2
            while try Files.exists(to) {
                to = "\(from).before-\(stamp)-\(number)"
                number += 1
            }
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

/// A directory full of something else.
public struct NotADataDirectory: Explained, Equatable {
    public let path: String
    public var message: String { "cannot recover into directory \"\(path)\"" }
    public var detail: String? { "It is not empty, and it is not a data directory." }
    public var hint: String? { "Name another directory with --data-directory." }
}
