import Backups
import DataDirectory
import Monitoring
public import Operations
import Planning
import Platform
import Postgres
import Recovery
import Restoring
import WAL

extension RecoverReport {
    /// The final report.
    public func text() throws -> String {
        var lines = [""]
        if let prepared {
            lines.append(
                "Restored \(size(prepared.restore.size)) in \(counted(prepared.restore.files, "file")) to \"\(planned.directory)\" "
                    + "in \(duration(prepared.restore.seconds)).")
            lines += prepared.remarks
        }
        guard let result else {
            lines.append("Start the server to recover to the target: \(start([]))")
            return joined(lines)
        }
        let what =
            switch result.state {
            case .promoted:
                "The server has recovered in \(duration(result.seconds)) and accepts writes"
                    + (result.timeline.map { " on timeline \($0)." } ?? ".")
            case .paused:
                "The server has recovered in \(duration(result.seconds)), answers queries and waits: examine it, then run "
                    + "SELECT pg_wal_replay_resume() to make it accept writes."
            case .shutDown:
                "The server has recovered in \(duration(result.seconds)) and shut down. To make it accept writes: \(takingWrites)"
            case .standby:
                "The standby is consistent, answers queries and follows the archive. Raise max_connections and the like here before "
                    + "they are raised on the original: a standby that has less stops replaying."
            }
        lines.append(what)
        if let problem = result.problem { lines.append(problem) }
        if let reached = result.reached {
            lines.append("Reached: LSN \(reached)" + (result.reason.map { ", \($0)" } ?? "") + ".")
        }
        switch result.asPredicted {
        case true? where result.archiveHasGrown:
            lines.append(
                "The archive has grown since the plan was made, which ended at LSN \(planned.plan.end); recovery continued to "
                    + "its present end.")
        case true?:
            lines.append(
                "As predicted: "
                    + (planned.plan.lastIncluded.map { "the last transaction is \($0.xid), \($0.time)." }
                        ?? "no transaction since the backup began."))
        case false?: lines.append("NOT as predicted: the plan named LSN \(planned.plan.end).")
        case nil: break
        }
        lines += pending
        if result.state != .shutDown {
            var conninfo = try planned.conninfo()
            if let running = try server.dataDirectory.runningServer() { conninfo = conninfo.at(running) }
            let words = conninfo.withoutSecrets.description
            lines.append("Connect with: " + runnableAsOwner("\(program("psql")) \(shellQuoted(words))"))
        }
        lines.append("Server log: \(server.logFile)")
        return joined(lines)
    }

    /// The command to start the server as a primary: otherwise it would shut down at the target again, since its signal
    /// file stays.
    private var takingWrites: String { start(["recovery_target_action=promote"]) }

    private func start(_ more: [String]) -> String {
        guard ServerProcess.isSafeName(planned.directory) else {
            return runnableAsOwner(
                (["\(program("postgres")) -D \(shellQuoted(planned.directory))"]
                    + (server.options + more).map { "-c \(shellQuoted($0))" }).joined(separator: " "))
        }
        // pg_ctl hands the options to a shell once more.
        let options = (server.options + more).map { "-c \(shellQuoted($0))" }.joined(separator: " ")
        return runnableAsOwner(
            "\(program("pg_ctl")) -D \(shellQuoted(planned.directory))"
                + (options.isEmpty ? "" : " -o \(shellQuoted(options))") + " start")
    }

    private func program(_ name: String) -> String { shellQuoted(server.program(name)) }
}

/// The result of a recovery as JSON.
public struct RecoverDocument: Encodable {
    let plan: PlanDocument
    let directory: String
    let restoredFiles: Int?
    let restoredBytes: Int64?
    let restoreSeconds: Double?
    let state: String
    let timeline: UInt32?
    let reachedLsn: String?
    let reason: String?
    let asPredicted: Bool?
    let archiveHasGrown: Bool?
    let replaySeconds: Double?
    let remarks: [String]

    public init(_ report: RecoverReport) throws {
        let (planned, restore, result) = (report.planned, report.prepared?.restore, report.result)
        plan = PlanDocument(planned, remarks: try planned.remarks())
        directory = planned.directory
        (restoredFiles, restoredBytes, restoreSeconds) = (restore?.files, restore?.size, restore?.seconds)
        (state, timeline) = (result?.state.rawValue ?? "restored", result?.timeline?.rawValue)
        (reachedLsn, reason) = (result?.reached?.description, result?.reason)
        (asPredicted, archiveHasGrown) = (result?.asPredicted, result?.archiveHasGrown)
        replaySeconds = result?.seconds
        remarks = (report.prepared?.remarks ?? []) + [result?.problem].compactMap { $0 } + report.pending
    }
}
