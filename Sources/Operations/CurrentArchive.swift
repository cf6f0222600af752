import Archiving
import Backups
public import Configuration
import Platform
import Recovery
public import Repository

/// The archive of the incarnation in use.
/// - Throws: when the repository holds nothing of the cluster.
public func currentArchive(of cluster: ClusterConfiguration) throws -> ClusterArchive {
    try incarnations(of: cluster).current
}

extension RecoveryArchive {
    /// One incarnation's, for reports.
    init(of cluster: ClusterConfiguration, _ incarnation: Incarnation) throws {
        try self.init(
            repository: cluster.openRepository(), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            jobs: cluster.jobs, incarnation: incarnation.folderName)
    }
}

/// - Throws: when the repository holds nothing of the cluster.
public func incarnations(of cluster: ClusterConfiguration) throws -> ClusterIncarnations {
    let repository = cluster.openRepository()
    guard
        let known = try ClusterIncarnations(of: cluster.name, dataDirectory: cluster.dataDirectory, in: repository)
    else {
        throw Problem(
            "cluster \"\(cluster.name)\" is not in repository \"\(repository.location)\"",
            hint: "Create its place with \"\(runnable("tidemark init"))\".")
    }
    return known
}
