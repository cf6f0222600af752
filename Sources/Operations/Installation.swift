public import Configuration
public import Setup

/// This installation of tidemark, with this configuration, for settings and commands that a job writes.
public struct Installation: Sendable {
    /// The absolute path of `tidemark`, which PostgreSQL runs.
    public let executable: String
    /// The absolute path of the configuration file in use.
    public let configuration: String

    public init(executable: String, configuration: String) {
        (self.executable, self.configuration) = (executable, configuration)
    }

    /// The commands of a recovered server.
    func commands(for cluster: ClusterConfiguration) -> ServerCommands {
        ServerCommands(executable: executable, configuration: configuration, cluster: cluster.name)
    }

    /// The commands of the cluster's own server, as short as possible.
    public func serverCommands(for cluster: ClusterConfiguration) -> ServerCommands {
        ServerCommands(
            executable: executable, configuration: configuration == Configuration.standardPath ? nil : configuration,
            cluster: cluster.name)
    }

    /// The required `archive_command`.
    public func archivingCall(for cluster: ClusterConfiguration, in configuration: Configuration) -> ArchivingCall {
        ArchivingCall(
            command: serverCommands(for: cluster).archive, cluster: cluster.name,
            hasOthers: configuration.clusters.count > 1)
    }
}
