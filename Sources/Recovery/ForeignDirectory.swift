import DataDirectory
public import Platform
public import Repository

/// The data directory that the configuration names is another cluster's.
public struct ForeignDirectory: Explained, Equatable {
    public let directory: String
    public let cluster: String
    public let owner: String
    public let systemIdentifier: UInt64

    public var message: String {
        "data directory \"\(directory)\" belongs to cluster \"\(owner)\", not to \"\(cluster)\""
    }
    public var detail: String? {
        "Its system identifier, \(systemIdentifier), is that of cluster \"\(owner)\" in the repository."
    }
    public var hint: String? {
        "Name the directory of cluster \"\(cluster)\" with data_directory in the configuration."
    }

    /// Refuses to replace another cluster of the repository. A directory that the repository doesn't know, or that
    /// can't be read, may be the remains of the cluster, or a new one.
    ///
    /// - Throws: `ForeignDirectory`, and what listing the repository throws.
    public static func refuse(_ directory: String, of cluster: String, in repository: Repository) throws {
        guard let control = try? DataDirectory(directory).controlFile() else { return }
        func isKnown(as name: String) throws -> Bool {
            try repository.incarnations(of: name).contains { $0.systemIdentifier == control.systemIdentifier }
        }
        guard try !isKnown(as: cluster) else { return }
        for other in try repository.clusters() where try other != cluster && isKnown(as: other) {
            throw ForeignDirectory(
                directory: directory, cluster: cluster, owner: other, systemIdentifier: control.systemIdentifier)
        }
    }
}
