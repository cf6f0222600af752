import DataDirectory
import Glibc
import Platform
import Repository

/// Finds out which incarnation the local server is, for `ClusterIncarnations`' rule.
struct Identity {
    let repository: Repository
    let cluster: String
    /// The configured data directory, used when the caller's directory isn't one.
    let dataDirectory: String?
    let caller: ArchiveCaller?

    /// Finds the archive by major version and system identifier, as a segment's first page states them.
    /// - Throws: `NotInitialised`, `DamagedMarker`, and what the store throws.
    func archive(major: Int, systemIdentifier: UInt64, named subject: String) throws -> ClusterArchive {
        try repository.archive(
            of: Incarnation(cluster: cluster, major: major, systemIdentifier: systemIdentifier), named: subject)
    }

    /// Finds the archive by the data directory: the caller's, else the configured one. Without either (a new machine, a
    /// command by hand) the repository's only incarnation.
    func archive() throws -> ClusterArchive {
        if let caller, let (major, systemIdentifier) = try identify(caller.directory, isCallers: true) {
            return try archive(major: major, systemIdentifier: systemIdentifier, named: "the data directory")
        }
        if let dataDirectory, let (major, systemIdentifier) = try identify(dataDirectory, isCallers: false) {
            return try archive(
                major: major, systemIdentifier: systemIdentifier, named: "data directory \"\(dataDirectory)\"")
        }
        return try repository.onlyArchive(of: cluster)
    }

    /// Nil when `path` isn't a data directory.
    ///
    /// PostgreSQL can always enter its working directory. A command by hand may have been started, through sudo, in a
    /// directory that this user may not enter; that says nothing about the cluster.
    private func identify(_ path: String, isCallers: Bool) throws -> (major: Int, systemIdentifier: UInt64)? {
        let directory = DataDirectory(path)
        do {
            let major = try directory.majorVersion()
            return (major, try directory.controlFile().systemIdentifier)
        } catch let error as SystemError
            where error.code == ENOENT || error.code == ENOTDIR || (error.code == EACCES && isCallers)
        {
            return nil
        }
    }
}
