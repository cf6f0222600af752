public import Configuration
public import Expiring
public import Repository
public import Retention

/// Sums up the space that a cluster takes in the repository, in all its incarnations.
public struct StorageJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let context: JobContext

    /// - Parameter policy: decides what `expire` would remove.
    public init(of cluster: ClusterConfiguration, policy: RetentionPolicy, _ context: JobContext = JobContext()) {
        (self.cluster, self.policy, self.context) = (cluster, policy, context)
    }

    /// - Throws: when the repository holds nothing of the cluster; what reading it throws.
    public func run() throws -> ClusterStorage {
        let known = try incarnations(of: cluster, context)
        func part(_ archive: ClusterArchive) throws -> ClusterStorage.Part {
            .init(
                incarnation: archive.incarnation,
                report: try storageReport(of: archive, policy: policy, dataDirectory: cluster.dataDirectory))
        }
        return ClusterStorage(
            current: try part(known.current), former: try known.former.map(part),
            free: try known.current.store.capacity()?.free)
    }
}

/// The space by kind, in bytes.
public struct ClusterStorage: Sendable {
    public struct Part: Sendable {
        public let incarnation: Incarnation
        public let report: StorageReport
    }
    /// The incarnation in use.
    public let current: Part
    /// Incarnations from before initdb or pg_upgrade.
    public let former: [Part]
    /// Free bytes, where the repository's store can tell.
    public let free: Int64?

    public var all: [Part] { [current] + former }
    public var backupBytes: Int64 { all.reduce(0) { $0 + $1.report.backupBytes } }
    public var walBytes: Int64 { all.reduce(0) { $0 + $1.report.walBytes } }
    public var asideBytes: Int64 { all.reduce(0) { $0 + $1.report.asideBytes } }
    public var wouldFree: Int64 { all.reduce(0) { $0 + $1.report.wouldFree } }
}
