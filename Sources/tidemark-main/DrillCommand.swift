import BaseBackup
import Configuration
import Operations
import Planning
import Platform
import Postgres
import Presentation
import Recovery
import WAL

enum DrillCommand: Command {
    static let grammar = Grammar(
        "drill", "rehearse a recovery into a scratch cluster, check it, and record how long it took",
        description: [
            "Recovers into a temporary cluster under scratch_directory: private socket, no archiving, no autovacuum, no background "
                + "workers that could connect to other servers. At the target it runs pg_amcheck if that is installed, the queries of "
                + "drill_sql, and the row counts of drill_min_rows; a restore or a replay without progress for longer than drill_timeout is terminated, and so are checks that take longer. Then the scratch cluster is removed, whatever happened.",
            "Without a target, it recovers everything in the archive. The time it took and the outcome are recorded in the "
                + "repository, where \"tidemark check\" finds the recovery time.",
        ],
        options: TargetOptions.options + [
            .init("random", "a random moment between the oldest backup and the archive's end"),
            .init(
                "set", value: "NAME=VALUE", repeats: true, "a server setting for the scratch cluster; may be repeated"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark drill", "everything in the archive"),
            Grammar.Example("tidemark drill --random", "somewhere in between; for a timer"),
        ],
        exits: [(3, "the recovery worked, but a check failed"), (4, "the target cannot be reached")])

    private struct Document: Encodable {
        let plan: PlanDocument
        let seconds, restoreSeconds, replaySeconds, checkSeconds: Double
        let restoredBytes: Int64
        let reachedLsn: String?
        struct Raised: Encodable {
            let name: String
            let value, before: Int64
        }
        /// Settings with which the server was started again.
        let raisedSettings: [Raised]
        let pendingTransactions: Int
        let amcheck: Bool
        let checks: Int
        let complaints: [String]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.clusterWithPlacesApart()
        let arguments = invocation.arguments
        // What was typed may be a slip; what a timer starts has no target.
        if !typed.contains(where: arguments.has) { invocation.notes.begin() }
        let job = try DrillJob(
            target(arguments, cluster), settings: RecoveryOptions.settings(arguments), of: cluster,
            invocation.installation(), invocation.context(progress))
        defer { invocation.terminal.finishProgress() }
        let report = try job.run()
        invocation.terminal.finishProgress()
        try show(report, job.plan, cluster, invocation)
        return report.complaints.isEmpty ? .success : .problemsFound
    }

    @Sendable private static func progress(_ progress: JobProgress) -> String {
        switch progress {
        case .restoring(let progress): "restoring: \(size(progress.done)) of \(size(progress.total))"
        case .replaying(let progress):
            "replaying: \(progress.done) of \(progress.total) segments" + (progress.standstill.map { "; \($0)" } ?? "")
        default: ""
        }
    }

    private static let typed = TargetOptions.points + ["target-timeline", "incarnation", "backup", "set"]

    private static func target(_ arguments: Arguments, _ cluster: ClusterConfiguration) throws -> TargetRequest {
        let given = TargetOptions.points.first(where: arguments.has)
        if arguments.has("random") {
            if let given { throw UsageError("--random and --\(given) exclude each other") }
            return try TargetOptions.request(.anyMoment, arguments)
        }
        guard given != nil else { return try TargetOptions.request(.target(RecoveryTarget(.latest)), arguments) }
        return try TargetOptions.request(arguments, zone: cluster.timezone)
    }

    private static func show(
        _ report: DrillReport, _ plan: Plan, _ cluster: ClusterConfiguration, _ invocation: Invocation
    ) throws {
        if invocation.json {
            try invocation.print(
                json: Document(
                    plan: PlanDocument(plan, settings: [], archiving: false), seconds: report.seconds,
                    restoreSeconds: report.restore.seconds, replaySeconds: report.replaySeconds,
                    checkSeconds: report.checkedSeconds, restoredBytes: report.restore.size,
                    reachedLsn: report.reached?.description,
                    raisedSettings: report.raised.map {
                        Document.Raised(name: $0.name, value: $0.demanded, before: $0.present)
                    }, pendingTransactions: report.pending,
                    amcheck: report.amcheck, checks: report.checks,
                    complaints: report.complaints))
            return
        }
        func seconds(_ value: Double) -> String {
            let tenths = Int((value * 10).rounded())
            return "\(tenths / 10).\(tenths % 10) s"
        }
        let last = plan.lastIncluded.map { "transaction \($0.xid), \($0.time)" } ?? "the backup's end"
        var lines = [
            "Recovered to \(plan.target.summary) from \(plan.backup.label) in \(seconds(report.seconds)): "
                + "restored \(size(report.restore.size)) in \(seconds(report.restore.seconds)), replayed "
                + "\(plan.segmentCount) segments in \(seconds(report.replaySeconds)).",
            "Reached: \(last)" + (report.complaints.isEmpty ? ", as predicted." : "."),
            report.amcheck
                ? "pg_amcheck checked every database."
                : "pg_amcheck was not run: it is not installed here, or there was no time for it.",
            "\(report.checks) checks of your own, \(seconds(report.checkedSeconds)) for all checks.",
        ]
        if !report.raised.isEmpty {
            let words = report.raised.map { "\($0.name) = \($0.demanded) instead of \($0.present)" }
            lines.append(
                "WAL required higher settings; the server was started again with \(words.joined(separator: ", ")).")
        }
        if report.pending > 0 {
            lines.append("Prepared transactions that were pending, and rolled back for the checks: \(report.pending).")
        }
        lines += report.complaints.map { "PROBLEM: \($0)" }
        lines.append(report.complaints.isEmpty ? "The drill passed." : "The drill found problems.")
        invocation.print(lines.joined(separator: "\n"))
    }
}
