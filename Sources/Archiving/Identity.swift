import DataDirectory
import Glibc
public import Platform
import Repository

/// No incarnation of the configured cluster in the repository fits.
public struct NotInitialised: Explained, Equatable {
    public let message: String
    public let detail: String?
    public var hint: String? {
        "Run \"tidemark init\" for this cluster, or check --cluster and the repository setting. "
            + "If the repository is on a file system of its own, is that mounted?"
    }
    public var isTransient: Bool { true }
}

/// Finds out which incarnation in the repository belongs to the server at hand.
struct Identity {
    let store: any ObjectStore
    let cluster: String
    /// The configured data directory, asked when the working directory isn't one.
    let dataDirectory: String?

    /// By major version and system identifier, as a segment's first page or a data directory names them.
    func incarnation(major: Int, systemIdentifier: UInt64, named subject: String) throws -> Incarnation {
        let incarnation = Incarnation(cluster: cluster, major: major, systemIdentifier: systemIdentifier)
        guard try store.holds(incarnation) else {
            throw NotInitialised(
                message: "\(subject) belongs to system identifier \(systemIdentifier), which cluster \"\(cluster)\" "
                    + "has not been initialised for",
                detail: "There is no \"\(incarnation.marker)\" in repository \"\(store.location)\".")
        }
        return incarnation
    }

    /// By the data directory: the working directory, where PostgreSQL runs archive_command and restore_command, else the
    /// configured one. Without either (a new machine, a command by hand) the repository's only incarnation.
    func incarnation() throws -> Incarnation {
        for path in ["."] + (dataDirectory.map { [$0] } ?? []) {
            guard let (major, systemIdentifier) = try identify(path) else { continue }
            return try incarnation(
                major: major, systemIdentifier: systemIdentifier,
                named: path == "." ? "the data directory" : "data directory \"\(path)\"")
        }
        let known = try store.incarnations(of: cluster)
        if known.count == 1, try store.holds(known[0]) { return known[0] }
        throw NotInitialised(
            message: known.isEmpty
                ? "cluster \"\(cluster)\" has not been initialised in repository \"\(store.location)\""
                : "cannot tell which incarnation of cluster \"\(cluster)\" is meant",
            detail: known.isEmpty
                ? nil
                : "The repository holds \(known.map(\.folderName).joined(separator: ", ")), and there is no data directory."
        )
    }

    /// Nil when `path` isn't a data directory.
    ///
    /// PostgreSQL can always enter its working directory; a command by hand may have been started, through sudo, where
    /// this user may not, and that tells nothing about the cluster.
    private func identify(_ path: String) throws -> (major: Int, systemIdentifier: UInt64)? {
        let directory = DataDirectory(path)
        do {
            let major = try directory.majorVersion()
            return (major, try directory.controlFile().systemIdentifier)
        } catch let error as SystemError
            where error.code == ENOENT || error.code == ENOTDIR || (error.code == EACCES && path == ".")
        {
            return nil
        }
    }
}
