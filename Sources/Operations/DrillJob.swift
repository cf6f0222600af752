import Backups
public import Configuration
public import Planning
import Platform
import Postgres
public import Recovery
import Repository
import Restoring
import Setup
import WAL

/// Rehearses a recovery in a temporary cluster, runs checks in it, and records the result in the repository.
public struct DrillJob {
    public let plan: Plan
    private let drill: Drill
    private let cluster: ClusterConfiguration
    private let planner: TargetPlanner
    private let context: JobContext

    /// Plans.
    ///
    /// - Parameter settings: the user's own, for the temporary cluster.
    /// - Throws: `Unreachable`, and what reading the archive throws.
    public init(
        _ target: TargetRequest, settings: [RecoverySetting] = [], of cluster: ClusterConfiguration,
        _ installation: Installation, _ context: JobContext = JobContext()
    ) throws {
        (self.cluster, self.context) = (cluster, context)
        planner = try TargetPlanner(target, of: cluster, context)
        plan = try planner.plan().plan
        context.notes.begin()
        let backup = try planner.archive.contents.backup(plan.backup.label)
        let commands = installation.commands(for: cluster)
        let putAside = planner.archive.putAside?.description
        var conninfo = try ConnectionString(cluster.conninfo)
        if let database = cluster.drillDatabase { conninfo["dbname"] = database }
        var drill = Drill(
            plan: plan, backup: backup,
            restoreCommand: { commands.restore(putAside: putAside, isCopy: true, stateDirectory: $0) },
            scratchDirectory: cluster.scratchDirectory,
            binDirectory: cluster.binDirectory(major: plan.majorVersion), conninfo: conninfo, jobs: cluster.jobs,
            checks: DrillCheck.queries(cluster.drillQueries) + (try DrillCheck.minimums(cluster.drillMinimumRows)))
        drill.limit = cluster.drillTimeout
        drill.extra = settings
        self.drill = drill
        context.notes("target", plan.target.summary)
        context.notes("backup", plan.backup.label)
        context.notes("size", plan.backup.size)
    }

    /// - Throws: `JobCancelled`, and as `Drill.run`; the temporary cluster is removed then.
    public func run() throws -> DrillReport {
        let archive = planner.archive.contents
        let audit = try RecoveryAudit(
            .init(kind: "drill", plan: plan, directory: cluster.scratchDirectory), of: archive)
        context.note(.debug, audit.line)
        context.noteMissing(audit)
        context.leaving(RecoveryRemains(directory: nil, audit: audit.reference))
        let report: DrillReport
        do {
            try context.cancellation.check()
            report = try drill.run(
                of: archive,
                restoring: { [context] progress in
                    context.progress(.restoring(progress))
                    try context.cancellation.check()
                },
                replaying: { progress in
                    context.progress(.replaying(progress))
                    try context.cancellation.check()
                },
                checking: { try context.cancellation.check() })
        } catch {
            try? audit.end(
                result: error is JobCancelled ? "interrupted" : "failed",
                detail: explanation(of: error))
            throw error
        }
        context.cancellation.close()
        try audit.end(
            result: report.complaints.isEmpty ? "passed" : "problems", detail: report.complaints.first,
            reached: report.reached,
            rates: RecoveryRates(
                restoredBytes: report.restore.size, restoreSeconds: report.restore.seconds,
                replayedBytes: plan.walSize, replaySeconds: report.replaySeconds))
        context.notes("seconds", report.seconds)
        context.notes("reached", report.reached?.description ?? "")
        if let first = report.complaints.first { context.notes("problem", first) }
        return report
    }
}
