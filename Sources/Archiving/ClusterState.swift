public import Configuration
public import Repository

extension ClusterConfiguration {
    /// The directory for what this host keeps about the cluster and its repository.
    public var state: StateDirectory { StateDirectory(stateDirectory, cluster: name, repository: repository) }
}
