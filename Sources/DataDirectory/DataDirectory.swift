import Glibc
import Platform

/// A PostgreSQL data directory on disk, read without its server.
public struct DataDirectory: Sendable, Equatable {
    public let path: String

    /// Reads nothing yet.
    public init(_ path: String) {
        var trimmed = path[...]
        while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        self.path = String(trimmed)
    }

    /// The major version that `PG_VERSION` names.
    ///
    /// - Throws: `SystemError` when the file can't be read; `Problem` when it holds no whole number.
    public func majorVersion() throws -> Int {
        let file = path + "/PG_VERSION"
        let text = try Files.readText(file, limit: 64)
        guard let major = Int(text.prefix { $0.isNumber }), major > 0,
            text.dropFirst(String(major).count).allSatisfy(\.isWhitespace)
        else {
            throw Problem("file \"\(file)\" does not name a PostgreSQL version", detail: "It holds \"\(text)\".")
        }
        return major
    }

    public func controlFile() throws -> ControlFile { try ControlFile(dataDirectory: path) }

    /// The server that runs on this directory; nil when none does.
    ///
    /// `postmaster.pid` outlives a crash, so the process it names must exist and must not be this process or its parent
    /// (a container restarted with the same numbers), as PostgreSQL's own lock file check does
    /// (`CreateLockFile`, src/backend/utils/init/miscinit.c).
    public func runningServer() throws -> PostmasterFile? {
        guard let file = try PostmasterFile(dataDirectory: path) else { return nil }
        if file.process == getpid() || file.process == getppid() { return nil }
        return processExists(file.process) ? file : nil
    }

    /// Tablespaces as `pg_tblspc` links them, ordered by oid.
    public func tablespaces() throws -> [TablespaceLink] {
        let directory = path + "/pg_tblspc"
        var links: [TablespaceLink] = []
        for name in try Files.listIfPresent(directory) {
            guard let oid = UInt32(name), let status = try FileStatus(ofLinkItself: directory + "/" + name) else {
                continue
            }
            switch status.kind {
            case .symbolicLink:
                let target = try Files.readLink(directory + "/" + name)
                links.append(TablespaceLink(oid: oid, location: target, isInPlace: false))
            case .directory:
                links.append(TablespaceLink(oid: oid, location: "pg_tblspc/\(oid)", isInPlace: true))
            default: continue
            }
        }
        return links.sorted { $0.oid < $1.oid }
    }

    /// The folder inside a tablespace that belongs to this cluster's version, `PG_15_202209061`
    /// (TABLESPACE_VERSION_DIRECTORY, src/include/common/relpath.h); other folders are other clusters'.
    public static func tablespaceFolder(major: Int, catalogVersion: UInt32) -> String {
        "PG_\(major)_\(catalogVersion)"
    }
}

/// One tablespace of a data directory.
public struct TablespaceLink: Sendable, Equatable, Hashable {
    public let oid: UInt32
    /// The link's target; for a tablespace in place, the path relative to the data directory.
    public let location: String
    /// A directory inside `pg_tblspc` instead of a link (`allow_in_place_tablespaces`, a developer option since 15).
    public let isInPlace: Bool

    public init(oid: UInt32, location: String, isInPlace: Bool = false) {
        self.oid = oid
        self.location = location
        self.isInPlace = isInPlace
    }
}

/// `postmaster.pid`, line by line (src/include/utils/pidfile.h).
public struct PostmasterFile: Sendable, Equatable {
    public let process: Int32
    public let dataDirectory: String
    public let port: Int?
    /// Nil when the server has no socket.
    public let socketDirectory: String?
    /// The first address it listens on, in a form for connecting; nil when there is none.
    public let address: String?
    /// `ready`, `starting`, `stopping`, `standby`; nil while it starts up.
    public let status: String?

    public init?(parsing text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        // A negative number is a single-user backend's.
        guard let first = lines.first, let process = Int32(first), process != 0, process > .min else { return nil }
        func line(_ number: Int) -> String? {
            guard lines.count > number, !lines[number].isEmpty else { return nil }
            return lines[number]
        }
        self.process = abs(process)
        dataDirectory = line(1) ?? ""
        port = line(3).flatMap { Int($0) }
        socketDirectory = line(4)
        // `*` and the like are written literally (`CreateLockFile`, `AddToDataDirLockFile`).
        address = line(5).map { ["*", "0.0.0.0", "::"].contains($0) ? "localhost" : $0 }
        status = line(7).map { String($0.prefix { $0 != " " }) }
    }

    /// Nil when the file doesn't exist, or is still empty because a server is writing it.
    init?(dataDirectory: String) throws {
        let path = dataDirectory + "/postmaster.pid"
        guard try Files.exists(path) else { return nil }
        do {
            self.init(parsing: try Files.readText(path, limit: 1 << 16))
        } catch let error as SystemError where error.code == ENOENT {
            return nil
        }
    }
}
