import Archiving
import BaseBackup
import Configuration
import Planning
import Platform
import Postgres
import Presentation
import Recovery
import Repository
import Setup
import WAL

enum DrillCommand: Command {
    static let grammar = Grammar(
        "drill", "rehearse a recovery into a scratch cluster, check it, and record how long it took",
        description: [
            "Recovers into a temporary cluster under scratch_directory: private socket, no archiving, no autovacuum, no background "
                + "workers that could reach out. At the target it runs pg_amcheck where that is installed, the queries of "
                + "drill_sql, and the row counts of drill_min_rows; a restore or a replay that stands still for longer than drill_timeout is ended, and checks that take longer are as well. Then the scratch cluster is removed, whatever happened.",
            "Without a target it recovers everything the archive holds. The time it took and the outcome are recorded in the "
                + "repository: \"tidemark check\" knows the recovery time from there.",
        ],
        options: TargetOptions.options + [
            .init("random", "a random moment between the oldest backup and the archive's end"),
            .init(
                "set", value: "NAME=VALUE", repeats: true, "a server setting for the scratch cluster; may be repeated"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark drill", "everything the archive holds"),
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
        let archive = try RecoveryArchive(
            repository: cluster.openRepository(), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            jobs: cluster.jobs, timeline: try TargetOptions.number(arguments),
            incarnation: arguments.value("incarnation"), backup: arguments.value("backup"),
            at: try TargetOptions.moment(arguments, zone: cluster.timezone))
        let plan = try choosingTimeline(invocation, in: archive) {
            try DrillCommand.plan(arguments, cluster, archive, $0)
        }
        invocation.notes.begin()
        let backup = try archive.contents.backup(plan.backup.label)
        let commands = ServerCommands(
            executable: try leanExecutable(), configuration: try invocation.configurationPath(), cluster: cluster.name)
        let putAside = archive.putAside?.description
        var conninfo = try ConnectionString(cluster.conninfo)
        if let database = cluster.drillDatabase { conninfo["dbname"] = database }
        var drill = Drill(
            plan: plan, backup: backup,
            restoreCommand: { commands.restore(putAside: putAside, isCopy: true, stateDirectory: $0) },
            scratchDirectory: cluster.scratchDirectory,
            binDirectory: cluster.binDirectory(major: plan.majorVersion), conninfo: conninfo, jobs: cluster.jobs,
            checks: DrillCheck.queries(cluster.drillQueries) + (try DrillCheck.minimums(cluster.drillMinimumRows)))
        drill.limit = cluster.drillTimeout
        drill.extra = try RecoveryOptions.settings(arguments)
        invocation.notes("target", plan.target.summary)
        invocation.notes("backup", plan.backup.label)
        invocation.notes("size", plan.backup.size)

        let audit = try RecoveryAudit(
            .init(kind: "drill", plan: plan, directory: cluster.scratchDirectory), of: archive.contents)
        invocation.log(.debug, audit.line)
        Interruption.note(audit)
        let (terminal, log) = (invocation.terminal, invocation.log)
        defer { terminal.finishProgress() }
        let report: DrillReport
        do {
            report = try drill.run(
                of: archive.contents,
                restoring: { terminal.progress("restoring: \(size($0.done)) of \(size($0.total))", log: log) },
                replaying: { progress in
                    terminal.progress(
                        "replaying: \(progress.done) of \(progress.total) segments"
                            + (progress.standstill.map { "; \($0)" } ?? ""), log: log)
                })
        } catch {
            try? audit.end(result: "failed", detail: (error as? any Explained)?.message ?? "\(error)")
            throw error
        }
        terminal.finishProgress()
        Interruption.comesTooLate()
        try audit.end(
            result: report.complaints.isEmpty ? "passed" : "problems", detail: report.complaints.first,
            reached: report.reached,
            rates: RecoveryRates(
                restoredBytes: report.restore.size, restoreSeconds: report.restore.seconds,
                replayedBytes: plan.logSize, replaySeconds: report.replaySeconds))
        invocation.notes("seconds", report.seconds)
        invocation.notes("reached", report.reached?.description ?? "")
        if let first = report.complaints.first { invocation.notes("problem", first) }
        try show(report, plan, cluster, invocation)
        return report.complaints.isEmpty ? .success : .problemsFound
    }

    private static let targets = ["target-time", "target-lsn", "target-xid", "target-name", "target"]
    private static let typed = targets + ["target-timeline", "incarnation", "backup", "set"]

    private static func plan(
        _ arguments: Arguments, _ cluster: ClusterConfiguration, _ archive: RecoveryArchive,
        _ timeline: RecoveryTarget.Timeline
    ) throws -> Plan {
        let targets = targets.filter(arguments.has)
        guard arguments.has("random") else {
            var request =
                try targets.isEmpty
                ? PlanRequest(RecoveryTarget(.latest), backup: arguments.value("backup"))
                : TargetOptions.request(arguments, zone: cluster.timezone)
            request.target.timeline = timeline
            return try archive.plan(request, usePartials: false)
        }
        if let target = targets.first { throw UsageError("--random and --\(target) exclude each other") }
        let latest = PlanRequest(RecoveryTarget(.latest, timeline: timeline))
        var everything: Plan?
        var refusal: PlanRefusal?
        do { everything = try archive.plan(latest, usePartials: false) } catch let found as PlanRefusal {
            if case .severalBranches = found.reason { throw found }
            // A gap: what lies before it can still be rehearsed.
            refusal = found
        }
        let stops = archive.backups.complete.map(\.stopTime)
        let from = stops.min() ?? Moment(microseconds: 0)
        let until = everything?.lastIncluded?.time ?? everything?.backup.stopTime ?? Moment(microseconds: Clock.now)
        // A moment before the first backup of this history can't be reached, nor one in a gap; another one can.
        for _ in 0..<20 where from < until {
            let moment = Moment(microseconds: Int64.random(in: from.microseconds...until.microseconds))
            let request = PlanRequest(RecoveryTarget(.time(moment), timeline: timeline))
            do { return try archive.plan(request, usePartials: false) } catch is PlanRefusal { continue }
        }
        if let everything { return everything }
        for stop in stops.sorted().reversed() {
            let request = PlanRequest(RecoveryTarget(.time(stop), timeline: timeline))
            do { return try archive.plan(request, usePartials: false) } catch is PlanRefusal { continue }
        }
        throw refusal ?? PlanRefusal(latest.target, .noBackup)
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
                ? "pg_amcheck looked at every database."
                : "pg_amcheck was not run: it is not installed here, or there was no time for it.",
            "\(report.checks) checks of your own, \(seconds(report.checkedSeconds)) for all checks.",
        ]
        if !report.raised.isEmpty {
            let words = report.raised.map { "\($0.name) = \($0.demanded) instead of \($0.present)" }
            lines.append(
                "The log demanded higher settings; the server was started again with \(words.joined(separator: ", ")).")
        }
        if report.pending > 0 {
            lines.append("Prepared transactions that were pending, and rolled back for the checks: \(report.pending).")
        }
        lines += report.complaints.map { "PROBLEM: \($0)" }
        lines.append(report.complaints.isEmpty ? "The drill passed." : "The drill found problems.")
        invocation.print(lines.joined(separator: "\n"))
    }
}
