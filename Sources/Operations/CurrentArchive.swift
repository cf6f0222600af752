import Archiving
import Backups
public import Configuration
import Platform
public import Repository

/// The archive of the incarnation in use.
/// - Throws: when the repository holds nothing of the cluster.
public func currentArchive(of cluster: ClusterConfiguration) throws -> ClusterArchive {
    try incarnations(of: cluster).current
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
