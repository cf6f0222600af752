import DataDirectory
public import Repository

extension ClusterIncarnations {
    /// The incarnations of a configured cluster. A part of its data directory that can't be read is ignored: the
    /// directory may be damaged, or half restored.
    ///
    /// - Returns: nil when the repository holds none of this cluster.
    /// - Parameter dataDirectory: the configured one; it may be gone.
    public init?(of cluster: String, dataDirectory: String, in repository: Repository) throws {
        let directory = DataDirectory(dataDirectory)
        var own: Incarnation?
        if let control = try? directory.controlFile(), let major = try? directory.majorVersion() {
            own = Incarnation(cluster: cluster, major: major, systemIdentifier: control.systemIdentifier)
        }
        try self.init(of: cluster, own: own, in: repository) { archive in
            try archive.listBackups().complete.map(\.stopTime).sorted()
        }
    }
}
