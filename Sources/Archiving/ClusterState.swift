public import Configuration
public import Repository

extension ClusterConfiguration {
    /// The directory for what this host keeps about the cluster and its repository.
    public var state: StateDirectory { StateDirectory(stateDirectory, cluster: name, repository: repository) }

    /// Opens the cluster's repository. The only place that knows which kind of store the setting `repository` means.
    /// Touches nothing: the repository need not exist.
    public func openRepository() -> Repository { Repository(DirectoryStore(repository)) }
}
