public import Configuration
public import DataDirectory
public import Repository

extension ClusterConfiguration {
    /// The directory for what this host keeps about the cluster and its repository.
    public var state: StateDirectory {
        StateDirectory(stateDirectory, cluster: name, repository: location.description)
    }

    /// Opens the cluster's repository. Nobody else knows what kind of store the setting `repository` means. Nothing is
    /// touched: the repository need not be there.
    public func openRepository() -> Repository {
        switch location {
        case .directory(let path): Repository(DirectoryStore(path))
        }
    }

    /// Of the repository that is read and written.
    private var location: RepositoryLocation {
        guard let first = repositoryLocations.first else { preconditionFailure("the setting is required") }
        return first
    }

    /// The directories that the configuration names, to be compared with each other.
    public var places: ClusterPlaces {
        ClusterPlaces(
            repository: openRepository().localDirectory?.path, stateDirectory: stateDirectory,
            scratchDirectory: scratchDirectory, dataDirectory: dataDirectory)
    }
}
