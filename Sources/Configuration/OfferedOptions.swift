import Platform

extension Configuration {
    /// From now on commands are offered as this process was called: with the configuration file, if it isn't the
    /// standard one; the cluster, if there are several; and the flags that name another repository or state directory
    /// than the file does.
    ///
    /// - Parameter cluster: nil when the command is about all of them, or it isn't known which is meant.
    public func completeOffers(for cluster: ClusterConfiguration?, _ arguments: Arguments) {
        var options: [(name: String, value: String)] = []
        if path != Configuration.standardPath {
            options.append(("--config", path.hasPrefix("/") ? path : Files.resolved(path)))
        }
        if clusters.count > 1, let cluster { options.append(("--cluster", cluster.name)) }
        for name in ["repository", "state_directory"] {
            guard let value = arguments.settings[name] else { continue }
            options.append(("--" + name.replacing("_", with: "-"), value))
        }
        offerCommands(with: options)
    }
}
