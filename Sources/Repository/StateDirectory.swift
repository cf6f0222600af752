import Platform

/// The files that tidemark keeps on this host for one cluster and one repository. No other type knows the layout below
/// `state_directory`.
///
/// All of it can be rebuilt or done without, except notices and job records that are not delivered yet, and the
/// progress of an interrupted recovery.
///
///     <state_directory>/<cluster>/               what concerns the cluster, whatever the repository
///     <state_directory>/<cluster>/in-<digest>/   what was learned from the repository with this location,
///                                                never used for another
public struct StateDirectory: Sendable, Hashable {
    /// The cluster's directory.
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
    /// Why the last push failed (`PushFailure`).
    public var pushFailure: String { path + "/push-failure" }
    /// Where `import` unpacks what it reads; a directory of this name and a suffix for each run.
    public var importing: String { path + "/import" }
    /// Notices not delivered yet.
    public var notices: String { path + "/notify" }
    /// The state of each check at the last run.
    public var checks: String { path + "/check/last.json" }

    /// The prefix of the names of files about a recovery into `directory`: its last component, for people, and a digest
    /// of the whole path, which may be longer than a file name and hold any character. All spellings of the directory
    /// give the same prefix.
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
    /// Which segments the last push stored before PostgreSQL asked for them (`AheadRecord`).
    public var archivedAhead: String { learned + "/archived-ahead" }
    /// How the repository's free space changed.
    public var space: String { learned + "/space.json" }
    /// Job records that the repository could not take.
    public var jobs: String { learned + "/jobs" }
}
