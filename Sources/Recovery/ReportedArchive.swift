import Archiving
public import Configuration
public import Repository

extension RecoveryArchive {
    /// One incarnation's, for reports.
    public init(of cluster: ClusterConfiguration, _ incarnation: Incarnation) throws {
        try self.init(
            repository: cluster.openRepository(), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            jobs: cluster.jobs, incarnation: incarnation.folderName)
    }
}
