import Catalog
public import Configuration
import Platform
public import WAL

/// Checks a cluster's catalog, or rebuilds it.
public struct CatalogJob {
    private let cluster: ClusterConfiguration
    private let context: JobContext

    public init(of cluster: ClusterConfiguration, _ context: JobContext = JobContext()) {
        (self.cluster, self.context) = (cluster, context)
    }

    /// - Parameter isRebuilding: reads every segment's head again.
    public func run(isRebuilding: Bool = false) throws -> CatalogReport {
        let access = try CatalogAccess(of: cluster, context)
        let catalog = access.catalog
        var problems: [String] = []
        if isRebuilding { try catalog.startAnew() } else { problems = try catalog.problems() }
        let isSound = problems.isEmpty
        let changes =
            try isSound
            ? catalog.synchronize(jobs: cluster.jobs, isExact: true) { [context] done, all in
                context.progress(.readingSegments(done: done, total: all))
            } : CatalogChanges()
        let set = isSound ? try catalog.segments() : SegmentSet(segmentSize: 16 << 20)
        return CatalogReport(
            path: catalog.path, size: try FileStatus(ifPresent: catalog.path)?.size ?? 0, segments: set.count,
            timelines: set.timelines, backups: access.backups.count, read: changes.read, gone: changes.gone,
            synchronized: try catalog.synchronized(), problems: problems)
    }
}

/// The state of a catalog.
public struct CatalogReport: Sendable {
    public let path: String
    /// Bytes.
    public let size: Int64
    public let segments: Int
    public let timelines: [TimelineID]
    public let backups: Int
    /// The numbers of segments that this synchronization read, and that were removed since the last one.
    public let read, gone: Int
    /// When it was last synchronized.
    public let synchronized: Moment?
    /// What is wrong with it; the next use rebuilds it.
    public let problems: [String]
}
