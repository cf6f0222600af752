import Platform

/// What tidemark keeps on this host for one cluster and one repository. No other type knows what lies where below
/// `state_directory`.
///
/// All of it can be rebuilt or done without, but for two things: notices and job records that are still on their way, and
/// how far an interrupted recovery has come.
///
///     <state_directory>/<cluster>/               what concerns the cluster, whatever the repository
///     <state_directory>/<cluster>/in-<digest>/   what was learned from the repository with this location, never used for
///                                                another
public struct StateDirectory: Sendable, Hashable {
    /// Of this cluster.
    public let path: String
    private let learned: String

    /// - Parameters:
    ///   - directory: the setting `state_directory`. Nothing is made or read.
    ///   - cluster: the configured name.
    ///   - repository: its location.
    public init(_ directory: String, cluster: String, repository: String) {
        path = "\(directory)/\(cluster)"
        learned = path + "/in-\(Digest(of: Array(repository.utf8)))"
    }

    // MARK: The cluster's

    /// Segments fetched ahead, a directory for each server that recovers (`Spool`).
    public var spool: String { path + "/spool" }
    /// Which segments the last push stored ahead of PostgreSQL's asking (`AheadRecord`).
    public var archivedAhead: String { path + "/archived-ahead" }
    /// Why the last push failed (`PushFailure`).
    public var pushFailure: String { path + "/push-failure" }
    /// Where `import` unpacks what it reads; a directory of this name and a suffix for each run.
    public var importing: String { path + "/import" }
    /// Where the WAL that a dead server left is put together before it is archived.
    public var rescue: String { path + "/rescue" }
    /// Notices on their way.
    public var notices: String { path + "/notify" }
    /// How each check stood the last time.
    public var checks: String { path + "/check/last.json" }

    /// What the names of the files about a recovery into `directory` begin with: its last part, for whoever looks, and a
    /// digest of the whole path, which may be longer than a file's name and have anything in it. However the directory is
    /// spelled, they are the same.
    public func recovery(into directory: String) -> String {
        let directory = Files.resolvedAsFarAsPossible(directory)
        let name = directory.split(separator: "/").last.map { String($0.prefix(40)) } ?? ""
        return "\(path)/recover/\(name)-\(Digest(of: Array(directory.utf8)))"
    }

    // MARK: What was learned from the repository

    /// The index of an incarnation's part of it (`Catalog`).
    public func catalog(of incarnation: Incarnation) -> String { "\(learned)/\(incarnation.folderName).catalog" }
    /// Which packs of which backup an interrupted verification has found good: a file for each.
    public var verification: String { learned + "/verify" }
    /// How its free space changed.
    public var space: String { learned + "/space.json" }
    /// Records of jobs that it could not take.
    public var jobs: String { learned + "/jobs" }
}
