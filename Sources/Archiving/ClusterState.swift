public import Configuration
public import Repository

extension ClusterConfiguration {
    /// Where what this host keeps for the cluster and its repository lies.
    public var state: StateDirectory { StateDirectory(stateDirectory, cluster: name, repository: repository) }
}
