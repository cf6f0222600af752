public import Configuration
public import Setup

/// What settings and commands written by a job call: this installation of tidemark, with this configuration.
public struct Installation: Sendable {
    /// The absolute path of `tidemark`, which PostgreSQL starts.
    public let executable: String
    /// The absolute path of the configuration file in use.
    public let configuration: String

    public init(executable: String, configuration: String) {
        (self.executable, self.configuration) = (executable, configuration)
    }

    /// How a recovered server calls it.
    func commands(for cluster: ClusterConfiguration) -> ServerCommands {
        ServerCommands(executable: executable, configuration: configuration, cluster: cluster.name)
    }

    /// How the cluster's own server calls it: as short as can be.
    public func serverCommands(for cluster: ClusterConfiguration) -> ServerCommands {
        ServerCommands(
            executable: executable, configuration: configuration == Configuration.standardPath ? nil : configuration,
            cluster: cluster.name)
    }

    /// What `archive_command` should be.
    public func archivingCall(for cluster: ClusterConfiguration, in configuration: Configuration) -> ArchivingCall {
        ArchivingCall(
            command: serverCommands(for: cluster).archive, cluster: cluster.name,
            hasOthers: configuration.clusters.count > 1)
    }
}
