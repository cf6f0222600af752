import Archiving
import Backups
import Configuration
import DataDirectory
import Planning
import Platform
import Postgres
import Recovery
import Repository
import Restoring
import WAL

/// Carries out a planned recovery; at every step it leaves a state from which it can be resumed.
struct RecoveryExecution {
    let order: RecoveryOrder
    let planned: PlannedRecovery
    let context: JobContext
    var state: RecoveryState
    /// Whether an interrupted recovery can be continued.
    private var isKept = true
    private var cluster: ClusterConfiguration { planned.cluster }

    mutating func run(old: OldDirectory?) throws -> RecoverReport {
        let audit = try RecoveryAudit(
            .init(kind: "recover", plan: planned.plan, directory: planned.directory),
            of: planned.archive.contents)
        context.notes.begin()
        context.note(.log, audit.line)
        context.noteMissing(audit)
        context.notes("target", planned.plan.target.summary)
        context.notes("backup", planned.plan.backup.label)
        context.notes("directory", planned.directory)
        context.leaving(RecoveryRemains(directory: planned.directory, audit: audit.reference))
        do {
            let report = try carryOut(old)
            let (prepared, result) = (report.prepared, report.result)
            context.cancellation.close()
            var rates: RecoveryRates?
            if let prepared, let result {
                rates = RecoveryRates(
                    restoredBytes: prepared.restore.size, restoreSeconds: prepared.restore.seconds,
                    replayedBytes: planned.plan.walSize, replaySeconds: result.seconds)
            }
            do {
                try audit.end(
                    result: result?.state.rawValue ?? "restored",
                    detail: result?.asPredicted == false ? "not as predicted" : result?.reason,
                    reached: result?.reached, rates: rates)
            } catch {
                // The recovered directory is complete, whatever has happened to the repository.
                let explained = error as? any Explained
                context.note(
                    .warning, "could not record the end of the recovery: \(explained?.message ?? "\(error)")",
                    detail: explained?.detail)
            }
            forgetState()
            return report
        } catch {
            let explained = error as? any Explained
            try? audit.end(
                result: error is JobCancelled ? "interrupted" : "failed", detail: explained?.message ?? "\(error)")
            throw error
        }
    }

    init(order: RecoveryOrder, planned: PlannedRecovery, context: JobContext, state: RecoveryState) {
        (self.order, self.planned, self.context, self.state) = (order, planned, context, state)
    }

    /// Records the progress. A recovery goes on without: a full disk may be what it is for.
    private mutating func keepState() {
        guard isKept else { return }
        do { try state.save(in: cluster.state) } catch {
            isKept = false
            let reason = explanation(of: error)
            context.note(
                .warning, "the progress of this recovery cannot be recorded: \(reason)",
                detail: "If the recovery is interrupted, it cannot be continued: it must be started again.",
                hint: "To record it, name a state directory that can be written, with --state-directory.")
        }
    }

    /// Removes the record. The recovery is over, whether that succeeds or not.
    private func forgetState() {
        do { try state.forget(in: cluster.state) } catch {
            let reason = explanation(of: error)
            context.note(
                .warning, "the record of this recovery's progress cannot be removed: \(reason)",
                detail: "The recovery is over, but looks unfinished.", hint: "Do not continue it with --resume.")
        }
    }

    private mutating func carryOut(_ old: OldDirectory?) throws -> RecoverReport {
        let lease = try PlanLease(planned.plan, of: planned.archive.contents)
        defer { withExtendedLifetime(lease) {} }
        var prepared: PreparedRecovery?
        if state.phase == .restoring {
            try planned.refuseWhatCannotBe(keeping: old == nil || planned.isDelta)
            keepState()
            try context.cancellation.check()
            var mounted: [String] = []
            if planned.isDelta {
                try OldDirectory.refuseIfChanged(planned.directory, since: old)
            } else if let old {
                let mounts = try OldMounts(in: planned.directory)
                let renamed = try old.setAside(stamp: Moment(microseconds: Clock.now).compact)
                mounted = renamed.last.map { mounts.told($0.to) } ?? []
                for (from, to) in renamed { context.note(.log, "renamed \"\(from)\" to \"\(to)\"") }
                state.renamed = renamed.map { RecoveryState.Renamed(from: $0.from, to: $0.to) }
                keepState()
            }
            var done: PreparedRecovery
            do { done = try lease.reading { try restore() } } catch let cancelled as JobCancelled {
                throw cancelled
            } catch {
                throw UnfinishedRestore(
                    cause: error, directory: planned.directory, renamed: state.renamed ?? [], canResume: isKept)
                    ?? error
            }
            done.remarks = mounted + done.remarks
            try state.remember(done.serverOptions)
            keepState()
            prepared = done
        }
        try state.refuseAnother(of: planned.archive.contents.incarnation)
        // Not before this: a restore that is complete, but not recorded as such, would be taken for another data
        // directory.
        try completeRestore(planned.directory)
        let server = ServerProcess(
            binDirectory: cluster.binDirectory(major: planned.plan.majorVersion), dataDirectory: planned.directory,
            logFile: order.logFile ?? planned.directory + "/tidemark-recovery.log",
            options: state.serverOptions)
        var result: RecoveryResult?
        if order.starts {
            try context.cancellation.check()
            let (request, began) = (try request(), Clock.monotonic)
            var isLeased = true
            func warn(_ lost: any Error) {
                isLeased = false
                context.note(.warning, lost)
            }
            if try !server.isRunning() {
                if prepared == nil {
                    try writeSettings(request, serverOptions: state.serverOptions)
                }
                try server.launch()
            }
            do {
                result = try follower(server).follow(
                    request, serverOptions: state.serverOptions, since: began,
                    raised: { pause in
                        context.note(.warning, "\(pause.message); it is started again with them", detail: pause.detail)
                    },
                    progress: { progress in
                        context.progress(.replaying(progress))
                        // What the server has got is sound, and where it ends is compared with the plan.
                        if isLeased { do { try lease.confirm() } catch { warn(error) } }
                        try context.cancellation.check()
                    })
            } catch {
                if isLeased, !(error is JobCancelled), let lost = lease.loss() { warn(lost) }
                if let back = RecoveryState.wayBack(state.renamed ?? []), !(error is JobCancelled) {
                    context.note(
                        .log, "the directory as it was before is \"\(back.directory)\"",
                        hint: "Once the server is stopped, it is brought back by: \(back.command)")
                }
                throw error
            }
        }
        return RecoverReport(
            planned: planned, prepared: prepared, server: server, result: result, pending: pending(server))
    }

    /// Pending prepared transactions, as sentences; none when no server runs.
    private func pending(_ server: ServerProcess) -> [String] {
        do {
            guard let running = try server.dataDirectory.runningServer(),
                let connection = try follower(server).connect(to: running)
            else { return [] }
            return try PendingTransaction.all(connection).map(\.sentence)
        } catch {
            let reason = (error as? ConnectionFailure)?.reason ?? (error as? QueryFailure)?.reason ?? "\(error)"
            return ["It is not known whether prepared transactions are pending: \(reason)"]
        }
    }

    private func follower(_ server: ServerProcess) throws -> ReplayFollower {
        var follower = ReplayFollower(
            plan: planned.plan, server: server, setup: planned.setup, conninfo: try planned.conninfo())
        follower.canResume = isKept
        // The role may not have existed at the target; then superusers that the backup knows are tried.
        follower.roles =
            (try? RelationMap.superusers(of: planned.plan.backup.label, of: planned.archive.contents)) ?? []
        return follower
    }

    private func request() throws -> RecoverRequest {
        let backup = try planned.archive.contents.backup(planned.plan.backup.label)
        var request = RecoverRequest(
            plan: planned.plan, backup: backup, directory: planned.directory, setup: planned.setup,
            jobs: cluster.jobs)
        request.delta = order.isDelta
        request.living = planned.living
        request.exclude = try NamedExclusions(cluster.exclude)
        request.tablespaceMapping = planned.tablespaces
        return request
    }

    private func restore() throws -> PreparedRecovery {
        let context = context
        return try prepareRecovery(request(), of: planned.archive.contents) { progress in
            context.progress(.restoring(progress))
            try context.cancellation.check()
        }
    }
}
