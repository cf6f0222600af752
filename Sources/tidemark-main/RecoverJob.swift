import Archiving
import BaseBackup
import Configuration
import DataDirectory
import Glibc
import Platform
import Postgres
import Recovery
import Repository
import WAL

/// Carries out a planned recovery, leaving a state from which it can be resumed at every step.
struct RecoverJob {
    let invocation: Invocation
    let planned: PlannedRecovery
    var state: RecoveryState
    private var cluster: ClusterConfiguration { planned.cluster }

    init(invocation: Invocation, planned: PlannedRecovery, state: RecoveryState) {
        (self.invocation, self.planned, self.state) = (invocation, planned, state)
    }

    mutating func run(old: OldDirectory?) throws -> ExitStatus {
        let audit = try RecoveryAudit(
            .init(kind: "recover", plan: planned.plan, directory: planned.directory),
            of: planned.archive.contents)
        invocation.notes.begin()
        invocation.log(.log, audit.line)
        invocation.notes("target", planned.plan.target.summary)
        invocation.notes("backup", planned.plan.backup.label)
        invocation.notes("directory", planned.directory)
        Interruption.note(directory: planned.directory, audit)
        do {
            let (status, prepared, result) = try carryOut(old)
            Interruption.comesTooLate()
            var rates: RecoveryRates?
            if let prepared, let result {
                rates = RecoveryRates(
                    restoredBytes: prepared.restore.size, restoreSeconds: prepared.restore.seconds,
                    replayedBytes: planned.plan.logSize, replaySeconds: result.seconds)
            }
            do {
                try audit.end(
                    result: result?.state.rawValue ?? "restored",
                    detail: result?.asPredicted == false ? "not as predicted" : result?.reason,
                    reached: result?.reached, rates: rates)
            } catch {
                // What was recovered is there, whatever has become of the repository.
                let explained = error as? any Explained
                invocation.log(
                    .warning, "could not record the end of the recovery: \(explained?.message ?? "\(error)")",
                    detail: explained?.detail)
            }
            try state.forget(in: cluster.state)
            return status
        } catch {
            let explained = error as? any Explained
            try? audit.end(result: "failed", detail: explained?.message ?? "\(error)")
            throw error
        }
    }

    private mutating func carryOut(_ old: OldDirectory?) throws -> (
        ExitStatus, PreparedRecovery?, RecoveryResult?
    ) {
        var prepared: PreparedRecovery?
        let lease = try PlanLease(planned.plan, of: planned.archive.contents)
        defer { withExtendedLifetime(lease) {} }
        if state.phase == .restoring {
            try planned.refuseWhatCannotBe(keeping: old == nil)
            try state.save(in: cluster.state)
            if let old {
                for (from, to) in try old.setAside(stamp: Moment(microseconds: Clock.now).compact) {
                    invocation.log(.log, "renamed \"\(from)\" to \"\(to)\"")
                }
            }
            let done: PreparedRecovery
            do { done = try restore() } catch {
                throw UnfinishedRestore(cause: error, directory: planned.directory) ?? error
            }
            state.phase = .prepared
            state.serverOptions = done.serverOptions
            try state.save(in: cluster.state)
            prepared = done
        }
        // Only now: a restore that is complete, but not known to be, would be taken for somebody's old directory.
        try completeRestore(planned.directory)
        let server = ServerProcess(
            binDirectory: cluster.binDirectory(major: planned.plan.majorVersion), dataDirectory: planned.directory,
            logFile: try absolutePath(
                invocation.arguments.value("log-file") ?? planned.directory + "/tidemark-recovery.log"),
            options: state.serverOptions)
        var result: RecoveryResult?
        if invocation.arguments.has("start") {
            let began = Clock.monotonic
            if try !server.isRunning() {
                if prepared == nil {
                    try writeSettings(request(), serverOptions: state.serverOptions)
                }
                try server.launch()
            }
            defer { invocation.terminal.finishProgress() }
            result = try follower(server).follow(
                request(), serverOptions: state.serverOptions, since: began,
                raised: { pause in
                    invocation.terminal.finishProgress()
                    invocation.log(
                        .warning, "\(pause.message); it is started again with them", detail: pause.detail)
                }, progress: { invocation.terminal.progress(RecoverJob.text($0), log: invocation.log) })
        }
        invocation.terminal.finishProgress()
        try RecoverReport(
            planned: planned, prepared: prepared, server: server, result: result, pending: pending(server)
        ).show(invocation)
        return (result?.asPredicted == false ? .problemsFound : .success, prepared, result)
    }

    /// What waits to be decided, as sentences; none where no server runs.
    private func pending(_ server: ServerProcess) -> [String] {
        do {
            guard let running = try server.dataDirectory.runningServer(),
                let connection = try follower(server).connect(to: running)
            else { return [] }
            return try PendingTransaction.all(connection).map(\.sentence)
        } catch {
            let reason = (error as? ConnectionFailure)?.reason ?? (error as? QueryFailure)?.reason ?? "\(error)"
            return ["Whether prepared transactions wait to be decided is not known: \(reason)"]
        }
    }

    private func follower(_ server: ServerProcess) throws -> ReplayFollower {
        var follower = ReplayFollower(
            plan: planned.plan, server: server, setup: planned.setup, conninfo: try planned.conninfo())
        // The role may not have been there at the target, and the target tells of another: then whoever may do everything.
        follower.roles =
            (try? RelationMap.superusers(of: planned.plan.backup.label, of: planned.archive.contents)) ?? []
        return follower
    }

    private func request() throws -> RecoverRequest {
        let backup = try planned.archive.contents.backup(planned.plan.backup.label)
        var request = RecoverRequest(
            plan: planned.plan, backup: backup, directory: planned.directory, setup: planned.setup,
            jobs: cluster.jobs)
        request.delta = invocation.arguments.has("delta")
        request.living = planned.living
        request.exclude = try NamedExclusions(cluster.exclude)
        request.tablespaceMapping = planned.tablespaces
        return request
    }

    private func restore() throws -> PreparedRecovery {
        let request = try request()
        defer { invocation.terminal.finishProgress() }
        let (terminal, log) = (invocation.terminal, invocation.log)
        return try prepareRecovery(request, of: planned.archive.contents) {
            progress in
            let percent = progress.total > 0 ? progress.done * 100 / progress.total : 100
            terminal.progress(
                "restoring: \(percent) % of \(size(progress.total)), \(size(Int64(progress.rate)))/s"
                    + (progress.secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? ""), log: log)
        }
    }

    private static func text(_ progress: ReplayProgress) -> String {
        guard let segment = progress.segment else {
            return "the server is starting" + (progress.standstill.map { "; \($0)" } ?? "")
        }
        return "replaying \(segment), \(progress.done) of \(progress.total)"
            + (progress.time.map { ", reached \($0)" } ?? "")
            + (progress.standstill.map { "; \($0) Interrupt to leave the server to itself." }
                ?? progress.secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? "")
    }
}
