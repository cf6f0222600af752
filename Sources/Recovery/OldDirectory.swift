import DataDirectory
import Glibc
public import Platform
import WAL

/// A data directory that a recovery is to take the place of.
public struct OldDirectory: Sendable {
    public let path: String

    /// Nil when there is nothing to set aside: no directory, an empty one, or one that a restore left half done.
    /// - Throws: `TargetInUse` when a server runs on it, or when it is no data directory.
    public init?(_ path: String) throws {
        self.path = path
        try refuseIfInUse(path)
        guard try Files.exists(path), try Files.list(path).contains(where: { $0 != "lost+found" }),
            try !Files.exists(path + "/tidemark.restoring")
        else { return nil }
        guard try Files.exists(path + "/PG_VERSION") else {
            throw NotADataDirectory(path: path)
        }
    }

    /// Renames the directory, and each tablespace's folder of this version, to `….before-<time>`; nothing is removed.
    ///
    /// - Returns: old and new names, the directory's own first.
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
        try rename(path)
        for folder in folders { try rename(folder) }
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
