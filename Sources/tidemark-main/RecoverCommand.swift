import BaseBackup
import Configuration
import Platform
import Postgres
import Recovery
import Repository
import WAL

enum RecoverCommand: Command {
    static let grammar = Grammar(
        "recover", "bring the cluster back to a moment",
        description: [
            "Makes the same plan as \"tidemark plan\", asks for confirmation, restores the base backup, writes the recovery settings "
                + "into postgresql.auto.conf, and with --start starts the server, follows the replay and compares what was reached "
                + "with what was predicted.",
            "The directory must be empty or absent. In any directory but the cluster's configured one archiving is off, and the "
                + "server listens on a socket in the directory only, until you change that (--set).",
        ],
        options: TargetOptions.options + RecoveryOptions.shown + [
            .init("start", "start the server and wait until the target is reached"),
            .init(
                "log-file", value: "FILE", "the started server's log (default: tidemark-recovery.log in the directory)"),
            .init(
                "tablespace-mapping", value: "OLD=NEW", repeats: true,
                "put the tablespace that was in OLD into NEW; may be repeated"),
            .init("dry-run", "print the plan and stop"),
            .init("yes", letter: "y", "don't ask for confirmation"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example(
                "tidemark recover --target-time '2026-11-05 09:59:00+01' --data-directory /srv/recovered --start",
                "beside the living server"),
            Grammar.Example("tidemark recover --target latest --dry-run", "the plan only"),
        ],
        exits: [(4, "the target cannot be reached; nothing was touched")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let planned = try PlannedRecovery(invocation, cluster)
        if invocation.arguments.has("dry-run") {
            try planned.show(invocation)
            return .success
        }
        if !invocation.json { try planned.show(invocation) }
        guard try invocation.confirm("Recover into \"\(planned.directory)\"?") else { return .interrupted }
        let prepared = try restore(planned, invocation)
        let program = "\(cluster.binDirectory(major: planned.plan.majorVersion))"
        let server = ServerProcess(
            binDirectory: program, dataDirectory: planned.directory,
            logFile: try absolutePath(
                invocation.arguments.value("log-file") ?? planned.directory + "/tidemark-recovery.log"),
            options: prepared.serverOptions)
        guard invocation.arguments.has("start") else {
            try RecoverReport(planned: planned, prepared: prepared, server: server, result: nil).show(invocation)
            return .success
        }
        let follower = ReplayFollower(
            plan: planned.plan, server: server, setup: planned.setup, conninfo: planned.conninfo)
        try server.launch()
        let result = try follower.follow { progress in
            invocation.terminal.progress(text(progress), log: invocation.log)
        }
        invocation.terminal.finishProgress()
        try RecoverReport(planned: planned, prepared: prepared, server: server, result: result).show(invocation)
        return result.asPredicted == false ? .problemsFound : .success
    }

    private static func restore(_ planned: PlannedRecovery, _ invocation: Invocation) throws -> PreparedRecovery {
        let backup = try showBackup(
            planned.plan.backup.label, of: planned.archive.incarnation, in: planned.archive.store)
        var request = RecoverRequest(
            plan: planned.plan, backup: backup, directory: planned.directory, setup: planned.setup,
            jobs: planned.cluster.jobs)
        for text in invocation.arguments.all("tablespace-mapping") {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, parts.allSatisfy({ $0.hasPrefix("/") }) else {
                throw UsageError("--tablespace-mapping takes OLD=NEW, two absolute paths, not \"\(text)\"")
            }
            request.tablespaceMapping[parts[0]] = parts[1]
        }
        defer { invocation.terminal.finishProgress() }
        let (terminal, log) = (invocation.terminal, invocation.log)
        return try prepareRecovery(request, incarnation: planned.archive.incarnation, store: planned.archive.store) {
            progress in
            let percent = progress.total > 0 ? progress.done * 100 / progress.total : 100
            terminal.progress(
                "restoring: \(percent) % of \(size(progress.total)), \(size(Int64(progress.rate)))/s"
                    + (progress.secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? ""), log: log)
        }
    }

    private static func text(_ progress: ReplayProgress) -> String {
        guard let segment = progress.segment else { return "the server is starting" }
        return "replaying \(segment), \(progress.done) of \(progress.total)"
            + (progress.time.map { ", reached \($0)" } ?? "")
            + (progress.secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? "")
    }
}

extension PlannedRecovery {
    /// How to talk to the recovered server: as configured, but through its own socket.
    var conninfo: String {
        let effective = Dictionary(settings.map { ($0.name, $0.value) }) { $1 }
        var words = cluster.conninfo
        if words.contains("://") { words = "dbname=postgres" }
        if let sockets = effective["unix_socket_directories"], let first = sockets.split(separator: ",").first {
            words += " host='\(first)'"
        }
        if let port = effective["port"] { words += " port=\(port)" }
        return words
    }
}

/// What `recover` says at the end.
struct RecoverReport {
    let planned: PlannedRecovery
    let prepared: PreparedRecovery
    let server: ServerProcess
    let result: RecoveryResult?

    private struct Document: Encodable {
        let plan: PlanDocument
        let directory: String
        let restoredFiles: Int
        let restoredBytes: Int64
        let restoreSeconds: Double
        let state: String
        let timeline: UInt32?
        let reachedLsn: String?
        let reason: String?
        let asPredicted: Bool?
        let replaySeconds: Double?
        let remarks: [String]
    }

    func show(_ invocation: Invocation) throws {
        if invocation.json {
            try invocation.print(
                json: Document(
                    plan: PlanDocument(
                        planned.plan, settings: planned.settings, archiving: planned.setup.isOwnDirectory,
                        remarks: planned.archive.remarks),
                    directory: planned.directory, restoredFiles: prepared.restore.files,
                    restoredBytes: prepared.restore.size, restoreSeconds: prepared.restore.seconds,
                    state: result?.state.rawValue ?? "restored", timeline: result?.timeline?.rawValue,
                    reachedLsn: result?.reached?.description, reason: result?.reason,
                    asPredicted: result?.asPredicted, replaySeconds: result?.seconds, remarks: prepared.remarks))
        } else {
            invocation.print(text)
        }
    }

    private var text: String {
        var lines = [
            "",
            "Restored \(size(prepared.restore.size)) in \(prepared.restore.files) files to \"\(planned.directory)\" "
                + "in \(seconds(prepared.restore.seconds)).",
        ]
        lines += prepared.remarks
        guard let result else {
            lines.append("Start the server to recover to the target: pg_ctl -D \(planned.directory) start")
            return lines.joined(separator: "\n")
        }
        let what =
            switch result.state {
            case .promoted:
                "The server has recovered in \(seconds(result.seconds)) and takes writes"
                    + (result.timeline.map { " on timeline \($0)." } ?? ".")
            case .paused:
                "The server has recovered in \(seconds(result.seconds)), answers queries and waits: look around, then "
                    + "SELECT pg_wal_replay_resume() to make it take writes."
            case .shutDown: "The server has recovered in \(seconds(result.seconds)) and shut down."
            case .standby: "The standby is consistent, answers queries and follows the archive."
            }
        lines.append(what)
        if let reached = result.reached {
            lines.append("Reached: LSN \(reached)" + (result.reason.map { ", \($0)" } ?? "") + ".")
        }
        switch result.asPredicted {
        case true?:
            lines.append(
                "As predicted: "
                    + (planned.plan.lastIncluded.map { "the last transaction is \($0.xid), \($0.time)." }
                        ?? "no transaction since the backup began."))
        case false?: lines.append("NOT as predicted: the plan named LSN \(planned.plan.end).")
        case nil: break
        }
        if result.state != .shutDown { lines.append("Connect with: psql '\(planned.conninfo)'") }
        lines.append("Server log: \(server.logFile)")
        return lines.joined(separator: "\n")
    }

    private func seconds(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) s"
    }
}
