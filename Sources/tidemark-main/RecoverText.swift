import BaseBackup
import Configuration
import DataDirectory
import Operations
import Planning
import Platform
import Postgres
import Presentation
import Recovery
import WAL

/// What `recover` says at the end.
extension RecoverReport {
    private struct Document: Encodable {
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
    }

    func show(_ invocation: Invocation) throws {
        if invocation.json {
            try invocation.print(
                json: Document(
                    plan: PlanDocument(
                        planned.plan, settings: planned.settings, archiving: planned.setup.isOwnDirectory,
                        tablespaces: planned.tablespacePlaces, remarks: try planned.remarks()),
                    directory: planned.directory, restoredFiles: prepared?.restore.files,
                    restoredBytes: prepared?.restore.size, restoreSeconds: prepared?.restore.seconds,
                    state: result?.state.rawValue ?? "restored", timeline: result?.timeline?.rawValue,
                    reachedLsn: result?.reached?.description, reason: result?.reason,
                    asPredicted: result?.asPredicted, archiveHasGrown: result?.archiveHasGrown,
                    replaySeconds: result?.seconds,
                    remarks: (prepared?.remarks ?? []) + [result?.problem].compactMap { $0 } + pending))
        } else {
            invocation.print(try text())
        }
    }

    private func text() throws -> String {
        var lines = [""]
        if let prepared {
            lines.append(
                "Restored \(size(prepared.restore.size)) in \(prepared.restore.files) files to \"\(planned.directory)\" "
                    + "in \(seconds(prepared.restore.seconds)).")
            lines += prepared.remarks
        }
        guard let result else {
            lines.append("Start the server to recover to the target: \(start([]))")
            return lines.joined(separator: "\n")
        }
        let what =
            switch result.state {
            case .promoted:
                "The server has recovered in \(seconds(result.seconds)) and accepts writes"
                    + (result.timeline.map { " on timeline \($0)." } ?? ".")
            case .paused:
                "The server has recovered in \(seconds(result.seconds)), answers queries and waits: examine it, then run "
                    + "SELECT pg_wal_replay_resume() to make it accept writes."
            case .shutDown:
                "The server has recovered in \(seconds(result.seconds)) and shut down. To make it accept writes: \(takingWrites)"
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
            lines.append("Connect with: psql \(shellQuoted(words))")
        }
        lines.append("Server log: \(server.logFile)")
        return lines.joined(separator: "\n")
    }

    /// Started as it is, the server would shut down at the target again: its signal file stays.
    private var takingWrites: String { start(["recovery_target_action=promote"]) }

    private func start(_ more: [String]) -> String {
        // pg_ctl hands the options to a shell once more.
        let options = (server.options + more).map { "-c \(shellQuoted($0))" }.joined(separator: " ")
        return "pg_ctl -D \(shellQuoted(planned.directory))"
            + (options.isEmpty ? "" : " -o \(shellQuoted(options))") + " start"
    }

    private func seconds(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) s"
    }
}

/// What `recover` says on its way.
enum RecoverText {
    @Sendable static func progress(_ progress: JobProgress) -> String {
        switch progress {
        case .restoring(let progress): "restoring: " + progress.text
        case .replaying(let progress): replay(progress)
        default: ""
        }
    }

    private static func replay(_ progress: ReplayProgress) -> String {
        guard let segment = progress.segment else {
            return "the server is starting" + (progress.standstill.map { "; \($0)" } ?? "")
        }
        return "replaying \(segment), \(progress.done) of \(progress.total)"
            + (progress.time.map { ", reached \($0)" } ?? "")
            + (progress.standstill.map { "; \($0) Interrupt to leave the server to itself." }
                ?? progress.secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? "")
    }
}
