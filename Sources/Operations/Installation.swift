import Configuration
import Setup

/// What settings and commands written by a job call: this installation of tidemark, with this configuration.
public struct Installation: Sendable {
    /// The absolute path of `tidemark`, which PostgreSQL starts.
    public let executable: String
    /// The absolute path of the configuration file in use.
    public let configuration: String

    public init(executable: String, configuration: String) {
        (self.executable, self.configuration) = (executable, configuration)
    }

    func commands(for cluster: ClusterConfiguration) -> ServerCommands {
        ServerCommands(executable: executable, configuration: configuration, cluster: cluster.name)
    }
}
