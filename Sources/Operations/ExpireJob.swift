import Archiving
public import Configuration
public import Expiring
import Jobs
import Monitoring
import Platform
public import Repository
public import Retention
import WAL

/// Removes the backups and the WAL that no rule keeps, in all incarnations of a cluster.
public struct ExpireJob {
    /// The incarnation in use.
    public let current: Incarnation
    private let known: ClusterIncarnations
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let origin: JobOrigin
    private let context: JobContext

    /// - Throws: when the repository holds nothing of the cluster.
    public init(
        of cluster: ClusterConfiguration, by policy: RetentionPolicy, _ origin: JobOrigin,
        _ context: JobContext = JobContext()
    ) throws {
        context.notes.begin()
        known = try incarnations(of: cluster, context)
        current = known.current.incarnation
        (self.cluster, self.policy, self.origin, self.context) = (cluster, policy, origin, context)
    }

    /// - Parameter dryRun: removes nothing; the report has what would be removed.
    /// - Returns: what was removed, and what couldn't be.
    /// - Throws: `BackupInProgress`, `JobCancelled`, and what reading the repository throws. What was removed by then
    ///   stays removed; the next expiry removes the rest.
    public func run(dryRun: Bool = false) throws -> ClusterExpiry {
        let started = Moment(microseconds: Clock.now)
        let own = try OwnTimeline(in: cluster.dataDirectory, of: current)
        let expiry = try known.expire(policy: policy, own: own, dryRun: dryRun) {
            try context.cancellation.check()
        }
        for timeline in expiry.current.unknown {
            let lost = LostHistory.message(timeline, isDamaged: false)
            context.note(
                .warning, "\(lost): whatever may lead to timeline \(timeline) is kept",
                hint: "Archive the file again from the pg_wal of a server that has been on timeline \(timeline).")
        }
        let reports = [expiry.current] + expiry.former.compactMap(\.report)
        for missing in reports.flatMap(\.unsealed) { context.note(.warning, missing) }
        context.notes("expired", reports.reduce(0) { $0 + $1.decision.expired.count })
        context.notes("segments", reports.reduce(0) { $0 + $1.segments.count })
        let runs = expiry.current.segmentRuns
        if !runs.isEmpty { context.notes(ExpiredWAL.fact, ExpiredWAL.note(runs)) }
        for one in expiry.former where !dryRun {
            // Each incarnation has its own records of what was removed on purpose.
            guard let runs = one.report?.segmentRuns, !runs.isEmpty else { continue }
            JobRecords(of: cluster, by: origin, context)
                .add(.expire, of: one.incarnation, since: started, [ExpiredWAL.fact: ExpiredWAL.note(runs)])
        }
        return expiry
    }
}
