import Backups
import Planning
import Platform
import Postgres
public import Recovery
import Restoring
import WAL

/// Recovers tables as they were at the plan's target: from a minimal scratch cluster, to the destination in `request`.
/// The scratch cluster is removed afterwards, whatever happens; if this process is killed, `ScratchDirectory.reclaim`
/// removes it.
///
/// - Throws: `TableRefusal`, `ScratchFailure`, and what `report`, restoring, replaying and the servers throw. The live
///   database is unchanged then.
public func recoverTables(
    _ request: TableRecoveryRequest, from archive: RecoveryArchive,
    report: @escaping @Sendable (TableRecoveryEvent) throws -> Void = { _ in }
) throws -> TableRecoveryReport {
    try TableRecoveryRun(request, archive, report).run()
}

final class TableRecoveryRun {
    var request: TableRecoveryRequest
    let archive: RecoveryArchive
    let report: @Sendable (TableRecoveryEvent) throws -> Void
    var result = TableRecoveryReport()

    init(
        _ request: TableRecoveryRequest, _ archive: RecoveryArchive,
        _ report: @escaping @Sendable (TableRecoveryEvent) throws -> Void
    ) {
        (self.request, self.archive, self.report) = (request, archive, report)
    }

    func run() throws -> TableRecoveryReport {
        let lease = try PlanLease(request.plan, of: archive.contents)
        return try lease.reading { try run(lease) }
    }

    private func run(_ lease: PlanLease) throws -> TableRecoveryReport {
        try ScratchDirectory.reclaim(in: request.scratchDirectory)
        let map = try RelationMap(of: request.plan.backup.label, of: archive.contents)
        try Preconditions(request, map).check()
        try stopBeforeDropOfDatabase(map)
        try report(.begun)
        // From the cheapest way to the safest one.
        var ways: [(selection: (Set<UInt32>) -> FileSelection, name: String)] = []
        for method in [FileSelection.Method.filteredWAL, .holes] where request.method == method || method == .holes {
            ways.append(
                (
                    { [request] (keeping: Set<UInt32>) in
                        FileSelection(
                            of: request.tables, in: request.database, map: map, method: method, keeping: keeping)
                    }, method == .holes ? "with unfiltered WAL" : "with filtered WAL"
                ))
        }
        ways.append(({ _ in .everything }, "with everything restored"))
        while true {
            let way = ways.removeFirst()
            do {
                try lease.reading { try recover(map, lease, way.selection) }
                return result
            } catch {
                guard let next = ways.first, TableRecoveryRun.isWorthRetrying(after: error) else { throw error }
                let reason = (error as? any Explained).map { $0.detail ?? $0.message } ?? ""
                note("Recovery \(way.name) failed (\(reason)); trying again \(next.name).")
            }
        }
    }

    /// A database's files are removed before the transaction that drops it commits, and connections to it are refused
    /// even earlier: a target just before that commit is moved to before the drop. Commits in between aren't in this
    /// database.
    private func stopBeforeDropOfDatabase(_ map: RelationMap) throws {
        let planned = request.plan
        guard let database = map.databases.first(where: { $0.name == request.database })?.oid,
            let moment = DatabaseDropMoment(of: database, in: try archive.facts(of: planned.segmentNames)),
            case .lsn(let place) = moment.target.point, place < planned.end,
            planned.lastIncluded.map({ $0.lsn < moment.drop.lsn }) ?? true
        else { return }
        var target = moment.target
        target.timeline = .number(planned.timeline)
        request.plan = try archive.plan(PlanRequest(target, backup: planned.backup.label), usePartials: false)
        note("Database \"\(request.database)\" was dropped just then; recovery stops before that, at LSN \(place).")
    }

    /// Whether the next way may succeed where this one has failed.
    private static func isWorthRetrying(after error: any Error) -> Bool {
        switch error {
        case let failure as ScratchFailure: !LastWordsHint.isFinal(failure.lastWords)
        case is MissingPages, is ScratchIncomplete: true
        default: false
        }
    }

    func note(_ text: String) {
        result.notes.append(text)
        try? report(.note(text))
    }

    /// Replays until the files of the wanted tables at the target are known to have been complete.
    private func recover(_ map: RelationMap, _ lease: PlanLease, _ select: (Set<UInt32>) -> FileSelection) throws {
        var keeping: Set<UInt32> = []
        while true {
            let selection = select(keeping)
            let began = Clock.monotonic
            let scratch = try ScratchCluster(
                plan: request.plan, selection: selection, archive: archive, binDirectory: request.binDirectory,
                parent: request.scratchDirectory, jobs: request.jobs, patience: request.patience
            ) { [report] in try report(.restoring($0)) }
            do {
                let restored = Clock.monotonic
                try scratch.replay { [report] in
                    try lease.confirm()
                    try report(.replaying(done: $0.done, total: $0.total, standstill: $0.standstill))
                }
                let replayed = Clock.monotonic
                account(scratch, seconds: (restored - began, replayed - restored))
                let (connection, user) = try connect(scratch, map)
                let catalog: TargetCatalog
                do {
                    try scratch.checkEnd(connection)
                    try checkDatabase(connection, selection)
                    try rollBackPrepared(connection)
                    catalog = try TargetCatalog(
                        connection, patterns: request.tables, plan: request.plan,
                        comparing: request.destinations.contains { $0 == .comparison || $0 == .missingRows })
                } catch { throw ScratchIncomplete(error, scratch: connection) ?? error }
                let missed = catalog.fileNodes.intersection(selection.leftOut)
                if missed.isEmpty {
                    noteSkipped(catalog)
                    do { try takeOut(catalog, connection, scratch, user: user) } catch {
                        throw ScratchIncomplete(error, scratch: connection) ?? error
                    }
                    result.outputSeconds = Double(Clock.monotonic - replayed) / 1e9
                    let done = Clock.monotonic
                    try scratch.remove()
                    result.stopSeconds = Double(Clock.monotonic - done) / 1e9
                    return
                }
                note(
                    "At the target the tables' files are others than at the time of the backup (renamed, exchanged or "
                        + "attached since); replaying again with \(missed.count) more.")
                keeping.formUnion(missed)
                try scratch.remove()
            } catch {
                try? scratch.remove()
                throw error
            }
        }
    }

    private func noteSkipped(_ catalog: TargetCatalog) {
        func list(_ names: [TableName]) -> String { names.map(\.quoted).joined(separator: ", ") }
        if !catalog.unlogged.isEmpty {
            note("Unlogged at the target, and so in no backup and in no WAL: \(list(catalog.unlogged)).")
        }
        if !catalog.foreign.isEmpty { note("Foreign, with their contents on other servers: \(list(catalog.foreign)).") }
    }

    private func account(_ scratch: ScratchCluster, seconds: (UInt64, UInt64)) {
        result.passes += 1
        result.scratchBytes = max(result.scratchBytes, scratch.occupied)
        result.backupBytes += scratch.restored.fetched
        result.walBytes += scratch.walBytes
        result.records += scratch.counts.records
        result.voidedRecords += scratch.counts.voided
        result.restoreSeconds += Double(seconds.0) / 1e9
        result.promoteSeconds += scratch.promoteSeconds
        result.replaySeconds += Double(seconds.1) / 1e9
    }

    private func connect(_ scratch: ScratchCluster, _ map: RelationMap) throws -> (connection: Connection, user: String)
    {
        do {
            return try scratch.connect(request.database, users: map.superusers + ["postgres"] + roles)
        } catch let failure as ConnectionFailure {
            // No database of this name; one with a row in the catalog but without a directory was created after the
            // backup.
            if failure.kind == .noSuchDatabase, !failure.reason.contains("subdirectory") {
                throw TableRefusal.noSuchDatabase(request.database, known: map.databases.map(\.name))
            }
            if let incomplete = ScratchIncomplete(failure) { throw incomplete }
            throw Problem(
                "the recovered database cannot be opened on this host", detail: failure.reason,
                hint: LastWordsHint.hint(failure.reason))
        }
    }

    /// Roles that may exist at the target if superusers have been renamed since the backup.
    private var roles: [String] {
        let named = try? ConnectionString(request.liveConninfo)["user"]
        let current =
            request.needsLiveServer
            ? try? Connection.live(request).query("SELECT session_user").scalar
            : nil
        return [current ?? nil, named ?? nil].compactMap(\.self)
    }

    /// The selection applies to the database that had the name at the time of the backup.
    private func checkDatabase(_ connection: Connection, _ selection: FileSelection) throws {
        guard let known = selection.database else { return }
        let oid = try connection.query("SELECT oid FROM pg_database WHERE datname = current_database()").scalar
        if oid != String(known) {
            throw ScratchIncomplete("Database \"\(request.database)\" has been created or renamed since the backup.")
        }
    }

    /// Pending prepared transactions would keep their locks for ever.
    private func rollBackPrepared(_ connection: Connection) throws {
        let rows = try connection.query("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
        for row in rows.values {
            guard let name = row[0] else { continue }
            try connection.query("ROLLBACK PREPARED \(quotedLiteral(name))")
            note(
                "Prepared transaction \"\(name)\" had not been decided at the target; its changes are not in the tables."
            )
        }
    }
}
