import Archiving
import Backups
public import Configuration
import Platform
public import Repository

/// The archive of the incarnation in use.
/// - Parameter context: is told of damaged markers.
/// - Throws: when the repository holds nothing of the cluster.
public func currentArchive(
    of cluster: ClusterConfiguration, _ context: JobContext = JobContext()
) throws -> ClusterArchive {
    try incarnations(of: cluster, context).current
}

/// - Parameter context: is told of damaged markers.
/// - Throws: when the repository holds nothing of the cluster.
public func incarnations(
    of cluster: ClusterConfiguration, _ context: JobContext = JobContext()
) throws -> ClusterIncarnations {
    let repository = cluster.openRepository()
    guard
        let known = try ClusterIncarnations(of: cluster.name, dataDirectory: cluster.dataDirectory, in: repository)
    else {
        throw Problem(
            "cluster \"\(cluster.name)\" is not in repository \"\(repository.location)\"",
            hint: "Create its place with \"\(runnable("tidemark init"))\".")
    }
    for doubt in known.doubted { context.note(.warning, doubt.reason) }
    return known
}
