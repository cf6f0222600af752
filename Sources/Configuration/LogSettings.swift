public import Platform

extension Log {
    /// Applies the cluster's settings `log_level` and `log_format`; logs everything when `verbose`.
    public mutating func follow(_ cluster: ClusterConfiguration, verbose: Bool) {
        json = cluster.logFormat == "json"
        threshold =
            switch cluster.logLevel {
            case _ where verbose: .debug
            case "error": .error
            case "warning": .warning
            case "debug": .debug
            default: .log
            }
    }
}
