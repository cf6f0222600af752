import DataDirectory
import Glibc
public import Platform
import Restoring
import WAL

/// A data directory that a recovery will replace.
public struct OldDirectory: Sendable, Equatable {
    public let path: String
    /// The path with symbolic links resolved: this is renamed.
    private let place: String
    private let inode: UInt64
    /// A server that runs on it, however briefly, changes it; nil when it can't be read.
    private let control: ControlFile?

    /// Nil when there is nothing to set aside: no directory, an empty one, or one with an unfinished restore.
    /// - Throws: `TargetInUse` when a server runs on it, or when it is no data directory.
    public init?(_ path: String) throws {
        self.path = path
        place = Files.resolved(path)
        try refuseIfInUse(path)
        if try FileStatus(ofLinkItself: path)?.kind == .symbolicLink, try !Files.exists(path) {
            throw Problem(
                "cannot recover into directory \"\(path)\"",
                detail: "It is a symbolic link to \"\(try Files.readLink(path))\", which does not exist.",
                hint: "Mount or create what it points to, or remove the link.")
        }
        guard try Files.exists(path), try !holdsNothing(path), try !isUnfinishedRestore(path) else { return nil }
        guard try Files.exists(path + "/PG_VERSION") else {
            throw NotADataDirectory(path: path)
        }
        inode = try FileStatus(of: place).inode
        control = try? DataDirectory(path).controlFile()
    }

    /// Called again before the first change, after asking a person or waiting for another process.
    /// - Throws: `Problem` when it is another directory now, or when a server has run on it since; `TargetInUse` when
    ///   one is running.
    public static func refuseIfChanged(_ directory: String, since old: OldDirectory?) throws {
        guard try OldDirectory(directory) == old else {
            throw Problem(
                "directory \"\(directory)\" is not what it was when the recovery was planned",
                detail: "It has been changed in the meantime.", hint: "Examine it, and run the command again.")
        }
    }

    /// A server that was started while the directory was being renamed continues under the new name.
    /// - Throws: `TargetInUse`.
    private func refuseIfStarted(_ renamed: String) throws {
        try refuseIfInUse(renamed)
        guard let server = try DirectoryProcesses(renamed).find().first(where: \.isServer) else { return }
        throw TargetInUse(
            path: path, reason: "A server was started on it in the meantime (process \(server.process)).",
            advice: "Stop that server, and run the command again.")
    }

    /// Refuses a directory that cannot be renamed because something is mounted there, and one that a later mount would
    /// damage.
    /// - Throws: `Problem`.
    public func refuseIfMounted() throws {
        guard try !MountTable().isMountPoint(place) else {
            throw Problem(
                "cannot rename directory \"\(place)\"", detail: "It is a mount point.",
                hint:
                    "Move what is in it elsewhere and recover into the empty mount point; or use --delta, which rewrites only "
                    + "what differs and keeps nothing of what was there.")
        }
        if let needed = try OldMounts(in: path).needed { throw needed }
    }

    /// The folders of this cluster in a tablespace. If its control file is damaged or lost, so that the catalog version
    /// isn't known, all folders of the major version: two clusters of one major version can't share a tablespace.
    private static func folders(of directory: DataDirectory, _ major: Int, in location: String) throws -> [String] {
        if let control = try? directory.controlFile() {
            return [DataDirectory.tablespaceFolder(major: major, catalogVersion: control.catalogVersion)]
        }
        return try Files.listIfPresent(location).filter { $0.hasPrefix("PG_\(major)_") && !$0.contains(".") }
    }

    /// Renames the directory, and each tablespace's folder of this version, to `….before-<time>`; nothing is removed.
    ///
    /// - Returns: old and new names, the directory's own last.
    /// - Throws: `Problem` when the directory has changed since it was examined, and `TargetInUse` when a server was
    ///   started on it; all names are restored then.
    public func setAside(stamp: String) throws -> [(from: String, to: String)] {
        try OldDirectory.refuseIfChanged(path, since: self)
        let directory = DataDirectory(path)
        var old: [OldName] = []
        let major = try directory.majorVersion()
        for link in try directory.tablespaces() where !link.isInPlace {
            for folder in try OldDirectory.folders(of: directory, major, in: link.location) {
                if let name = try OldName(link.location + "/" + folder) { old.append(name) }
            }
        }
        // The directory is the last, because its links lead to the others: if it is interrupted, a second call finishes
        // the job.
        guard let own = try OldName(place), own.inode == inode else { throw OldName.replaced(place) }
        var renamed: [(from: String, to: String)] = []
        do {
            for name in old + [own] { renamed.append((name.path, try name.rename(stamp: stamp))) }
            if let (_, now) = renamed.last { try refuseIfStarted(now) }
        } catch {
            for (from, to) in renamed.reversed() { try? Files.rename(to, to: from) }
            throw error
        }
        // A symbolic link still leads to where the directory was, on the disk that was chosen for it.
        if place != path, try FileStatus(ofLinkItself: path)?.kind == .symbolicLink {
            try Files.makeDirectories(place, mode: 0o700)
        }
        return renamed
    }
}

/// A directory to be renamed, in its parent, which is held open so that the name keeps its meaning.
private struct OldName {
    let path: String
    let inode: UInt64
    private let place: Place
    private let seen: FileStatus

    /// Nil when it doesn't exist.
    init?(_ path: String) throws {
        self.path = path
        do throws(SystemError) {
            place = Place(Files.name(path), in: try HeldDirectory(confining: Files.parent(path)))
        } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
        guard let status = try FileStatus(ofLinkItself: place) else { return nil }
        (seen, inode) = (status, status.inode)
    }

    /// - Returns: the new name's path.
    func rename(stamp: String) throws -> String {
        guard let parent = place.parent else { throw OldName.replaced(path) }
        let name = Files.name(path)
        var new = "\(name).before-\(stamp)"
        // Two recoveries may happen within a second.
        var number = 2
        while try FileStatus(ofLinkItself: parent.appending(new)) != nil {
            new = "\(name).before-\(stamp)-\(number)"
            number += 1
        }
        let to = parent.appending(new)
        try Files.rename(place, to: to)
        guard try FileStatus(ofLinkItself: to)?.isSame(as: seen) == true else {
            try? Files.rename(to, to: place)
            throw OldName.replaced(path)
        }
        try Files.synchronizeDirectory(parent)
        return to.path
    }

    static func replaced(_ path: String) -> Problem {
        Problem(
            "cannot rename directory \"\(path)\"", detail: "Something else has been put in its place in the meantime.",
            hint: "Look what is there, and start the recovery again.")
    }
}

/// A non-empty directory that isn't a data directory.
public struct NotADataDirectory: Explained, Equatable {
    public let path: String
    public var message: String { "cannot recover into directory \"\(path)\"" }
    public var detail: String? { "It is not empty, and it is not a data directory." }
    public var hint: String? { "Name another directory with --data-directory." }
}
