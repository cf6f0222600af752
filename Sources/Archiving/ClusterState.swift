public import Configuration
public import Repository

extension ClusterConfiguration {
    /// The directory for what this host keeps about the cluster and its repository.
    public var state: StateDirectory { StateDirectory(stateDirectory, cluster: name, repository: repository) }

    /// Opens the cluster's repository. Nobody else knows what kind of store the setting `repository` means. Nothing is
    /// touched: the repository need not be there.
    public func openRepository() -> Repository { Repository(DirectoryStore(repository)) }
}
