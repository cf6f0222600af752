public import Configuration
public import Jobs
import Platform
import WAL

/// Finds the records of a cluster's jobs.
public struct HistoryJob {
    private let cluster: ClusterConfiguration
    private let context: JobContext

    public init(of cluster: ClusterConfiguration, _ context: JobContext = JobContext()) {
        (self.cluster, self.context) = (cluster, context)
    }

    /// - Parameters:
    ///   - days: how far back; nil for all.
    ///   - kind: only jobs of this kind.
    ///   - isFailed: only jobs that did not succeed.
    /// - Returns: the jobs, oldest first.
    public func run(days: Int? = nil, kind: JobKind? = nil, isFailed: Bool = false) throws -> [JobRecord] {
        let since = days.map { Moment(microseconds: Clock.now - Int64($0) * 86_400_000_000) }
        let contents = try JobRecords.journal(of: cluster).contents(since: since)
        for (key, reason) in contents.unreadable {
            context.note(.warning, "job record \"\(key)\" is passed over: \(reason)")
        }
        return contents.jobs.filter { (kind == nil || $0.kind == kind) && (!isFailed || $0.result != .success) }
    }
}
