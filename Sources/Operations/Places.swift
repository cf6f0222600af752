public import Configuration
public import DataDirectory

extension ClusterConfiguration {
    /// The directories that the configuration names, for comparing them.
    public var places: ClusterPlaces {
        ClusterPlaces(
            repository: repository, stateDirectory: stateDirectory, scratchDirectory: scratchDirectory,
            dataDirectory: dataDirectory)
    }
}
