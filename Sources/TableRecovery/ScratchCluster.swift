import Backups
import DataDirectory
import Glibc
import Planning
public import Platform
import Postgres
import Recovery
import Repository
import Restoring
import WAL

/// A temporary server that replays just enough of the WAL over just enough of a backup.
final class ScratchCluster {
    let directory: ScratchDirectory
    let plan: Plan
    let selection: FileSelection
    private let server: ServerProcess
    private let supply: SegmentSupply
    /// How long replay may make no progress, in milliseconds.
    private let patience: Int64
    private var log = ScratchLog()
    private var logPosition: Int64 = 0
    let restored: RestoreReport
    /// The filter is right only if replay got beyond this position.
    private let lastRemoval: LSN

    /// Restores the files that `selection` names and prepares the directory for the start.
    ///
    /// - Throws: `NotEnoughSpace` before anything is restored, and what restoring throws.
    init(
        plan: Plan, selection: FileSelection, archive: RecoveryArchive, binDirectory: String, parent: String, jobs: Int,
        patience: Int64, progress: @escaping @Sendable (CopyProgress) throws -> Void
    ) throws {
        self.patience = patience
        self.plan = plan
        self.selection = selection
        directory = try ScratchDirectory(for: .table, in: parent)
        let data = directory.data
        do {
            let backup = try archive.contents.backup(plan.backup.label)
            var request = RestoreRequest(target: data, jobs: jobs)
            request.selection = { selection.treatment(of: $0, size: $1) }
            request.isThrowaway = true
            // WAL in transit, and the pages that replay writes into holes: no more than the size of the WAL.
            let segments = Int64(plan.segmentSize) * Int64(min(plan.segmentCount, 8 + jobs))
            request.reserve = segments + (selection.method == .holes && selection.database != nil ? plan.walSize : 0)
            for tablespace in backup.tablespaces {
                request.tablespaceMapping[tablespace.location] = "\(directory.path)/tablespaces/\(tablespace.oid)"
                try Files.makeDirectories("\(directory.path)/tablespaces/\(tablespace.oid)", mode: 0o700)
            }
            let contents = archive.contents
            restored = try watchRestore(limit: patience, progress: progress) { [request] progress in
                try restoreBackup(backup, of: contents, request: request, progress: progress)
            }
            let control = try DataDirectory(data).controlFile()
            let isFiltered = selection.method == .filteredWAL
            let rules = try ScratchCluster.rules(plan, selection, archive)
            lastRemoval = rules.vanished.last
            supply = try SegmentSupply(
                plan.segmentNames, of: archive.contents, segmentSize: plan.segmentSize,
                rules: rules, target: plan.end,
                directory: directory.path + "/wal", serverWAL: data + "/pg_wal", jobs: jobs)
            try ScratchCluster.write(
                directory.path + "/postgresql.conf",
                ScratchSettings.text(
                    plan: plan, control: control, scratch: directory, restoreCommand: supply.restoreCommand,
                    expectsMissingPages: !isFiltered))
            try ScratchCluster.write(directory.path + "/pg_hba.conf", "local all all trust\n")
            try ScratchCluster.write(directory.path + "/pg_ident.conf", "")
            try ScratchCluster.settle(data)
            server = ServerProcess(
                binDirectory: binDirectory, dataDirectory: data, logFile: directory.log,
                options: ["config_file=\(directory.path)/postgresql.conf"], confinement: directory.confinement)
        } catch {
            try? directory.remove()
            throw error
        }
    }

    /// Files that a transaction removes before the target need no replay either. Catalogs and sequences always do.
    private static func rules(_ plan: Plan, _ selection: FileSelection, _ archive: RecoveryArchive) throws
        -> WALFilterRules
    {
        guard selection.method == .filteredWAL, let database = selection.database else { return .outsideOnly }
        let vanished = VanishedFiles(
            of: database, by: try archive.facts(of: plan.segmentNames), before: plan.end, keeping: selection.kept)
        return WALFilterRules(database: database, leftOut: selection.leftOut, vanished: vanished)
    }

    /// Adapts the restored directory to the scratch server.
    private static func settle(_ data: String) throws {
        // Read even with another config_file, and overrides that.
        try write(data + "/postgresql.auto.conf", "")
        // With it the server would recreate the links to the original's tablespaces.
        try Files.removeIfPresent(data + "/tablespace_map")
        try Files.removeIfPresent(data + "/standby.signal")
        try write(data + "/recovery.signal", "")
        // PostgreSQL requires 0700 or 0750, whatever the original had.
        _ = try retrying(.changeMode, data) { chmod(data, 0o700) }
    }

    private static func write(_ path: String, _ text: String) throws {
        let file = try Descriptor(open: path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try Array(text.utf8).withUnsafeBytes { try file.write($0, path: path) }
    }

    /// Replays to the target and returns when the server accepts connections.
    ///
    /// - Throws: `ScratchFailure`, `MissingPages`, `ReplayStandstill`, and why WAL could not be delivered.
    func replay(progress: (ReplayProgress) throws -> Void = { _ in }) throws {
        do { try runToEnd(progress) } catch {
            // On a full disk the server may not be able to log it.
            guard isFull else { throw error }
            throw ScratchFailure(lastWords: "\(directory.path): No space left on device", whole: plan.wholeRecovery)
        }
    }

    private var isFull: Bool { ((try? Files.space(at: directory.path).free) ?? .max) < 1 << 20 }

    private func runToEnd(_ progress: (ReplayProgress) throws -> Void) throws {
        try supply.start()
        try server.launch()
        var isSeen = false
        var replayed: UInt64?
        var now = ReplayProgress(done: 0, total: plan.segmentCount, seconds: 0)
        var movement = Movement(limit: patience)
        defer { promoteSeconds = replayed.map { Double(Clock.monotonic - $0) / 1e9 } ?? 0 }
        while true {
            try readLog()
            if replayed == nil, log.hasReplayed { replayed = Clock.monotonic }
            if let running = try server.dataDirectory.runningServer() {
                isSeen = true
                if running.status == "ready" { break }
            } else if try isSeen || log.hasFailed || isFull || !server.isAlive() {
                // A server needs a moment to write its postmaster.pid, but its process exists before that. One that has
                // written it and exited has logged the reason.
                break
            }
            supply.giveBack()
            if Clock.monotonic - measured > 500_000_000 { try measure() }
            (now.segment, now.done) = (try server.replayedSegment() ?? now.segment, supply.delivered)
            do { now.standstill = try movement.note(now) { server.standstill(now.segment, nil) } } catch {
                // A thread that waits for the repository can't be waited for.
                supply.abandon()
                throw error
            }
            try progress(now)
            Clock.sleep(milliseconds: 10)
        }
        try readLog()
        try measure()
        let isReady = try server.dataDirectory.runningServer()?.status == "ready"
        if !isReady {
            supply.stop()
            throw supply.failure ?? ScratchFailure(lastWords: log.lastWords, whole: plan.wholeRecovery)
        }
        // Every page that replay missed must belong to an omitted file.
        let damaged = log.missingPages.filter { !mayMiss($0.key) }
        if !damaged.isEmpty { throw MissingPages(files: damaged.keys.map(\.number).sorted()) }
    }

    private func mayMiss(_ relation: ScratchLog.Relation) -> Bool {
        guard selection.method == .holes, let database = selection.database, relation.database != 0 else {
            return false
        }
        return relation.database != database || selection.leftOut.contains(relation.number)
    }

    private func readLog() throws {
        let file = try Descriptor(open: directory.log, O_RDONLY | O_CREAT, mode: 0o600)
        var window = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = try window.withUnsafeMutableBytes {
                try file.read(into: $0, at: logPosition, path: directory.log)
            }
            guard count > 0 else { return }
            logPosition += Int64(count)
            log.add(String(decoding: window[..<count], as: UTF8.self))
        }
    }

    var missingPages: Int { log.missingPages.values.reduce(0, +) }
    var counts: (records: Int, voided: Int) { supply.counts }
    /// Bytes of WAL read from the repository.
    var walBytes: Int64 { supply.storedBytes }
    /// A connection string without role and database.
    var conninfo: String {
        var address = ConnectionString().atOwnServer(socketDirectory: directory.socketDirectory, port: "5432")
        (address["user"], address["dbname"]) = (nil, nil)
        return address.description
    }

    /// The largest size of the scratch cluster on disk, in bytes, at any measurement.
    private(set) var occupied: Int64 = 0
    private var measured: UInt64 = 0
    private(set) var promoteSeconds = 0.0

    private func measure() throws {
        occupied = max(occupied, try Files.allocated(in: directory.path))
        measured = Clock.monotonic
    }

    /// Checks that replay got beyond the last removal for which the filter dropped records.
    func checkEnd(_ connection: Connection) throws {
        guard lastRemoval > .zero,
            let reached = try connection.query("SELECT pg_last_wal_replay_lsn()").scalar.flatMap({ LSN($0) }),
            reached <= lastRemoval
        else { return }
        throw ScratchIncomplete("Replay ended at LSN \(reached) already; up to \(plan.end) had been planned.")
    }

    /// Opens a session in the wanted database; never in another one, whose catalogs are missing: that would crash the
    /// server.
    func connect(_ database: String, users: [String]) throws -> (connection: Connection, user: String) {
        let (session, _) = try OwnServerRole.open(users, of: directory.data) { user throws(ConnectionFailure) in
            var address = ConnectionString().atOwnServer(
                socketDirectory: directory.socketDirectory, port: "5432", user: user ?? "postgres")
            address["options"] = ScratchSettings.sessionOptions(plan.majorVersion)
            return try Connection(ownServer: address, database: database)
        }
        return (session, try session.query("SELECT current_user").scalar ?? "postgres")
    }

    /// Stops the server and removes everything.
    func remove() throws {
        supply.stop()
        try directory.remove()
    }
}

extension Plan {
    /// The command that recovers the whole cluster to the same target, where single tables can't be.
    var wholeRecovery: String {
        let words = PlanRequest(target, backup: backup.label).arguments
        return runnable("tidemark recover \(words.joined(separator: " ")) --data-directory PATH")
    }
}

/// The scratch server ended before it reached the target.
public struct ScratchFailure: Explained, Equatable {
    public let lastWords: String
    /// The command that recovers the whole cluster.
    let whole: String
    public var message: String { "the temporary server stopped before it reached the target" }
    public var detail: String? { lastWords.isEmpty ? nil : "It said: \(lastWords)" }
    public var hint: String? {
        if lastWords.contains(LastWordsHint.foreignRecord) {
            return "An extension writes its own kind of WAL records; recover the whole cluster with \"\(whole)\"."
        }
        return LastWordsHint.hint(lastWords)
    }
}

/// Replay missed pages of relations that had been restored: the backup, the WAL or tidemark is wrong.
public struct MissingPages: Explained, Equatable {
    public let files: [UInt32]
    public var message: String { "WAL refers to pages that the backup should have" }
    public var detail: String? {
        "Relation files " + files.prefix(8).map(String.init).joined(separator: ", ")
            + " were restored in full, but pages of them are missing."
    }
    public var hint: String? {
        "Check the backup with "
            + "\"\(runnable("tidemark verify"))\", or recover from another with --backup."
    }
}

/// Hints for the last messages of a scratch server.
enum LastWordsHint {
    /// Whether the cause is this host or an extension: with more of the backup the server would fail in the same way.
    static func isFinal(_ words: String) -> Bool { words.contains(foreignRecord) || hint(words) != nil }

    /// What a server says of records that only an extension can replay.
    static let foreignRecord = "resource manager with ID"

    static func hint(_ words: String) -> String? {
        if words.contains("No space left on device") {
            return "Free space, or name another place with --scratch-directory."
        }
        if words.contains("could not map anonymous shared memory") || words.contains("annot allocate memory") {
            return "The temporary server itself needs about 200 MB of memory; free that much."
        }
        if words.contains("could not access file \"") && words.contains("No such file") {
            return "Install the extension's library for this major version on this host."
        }
        if words.contains("locale") || words.contains("ICU") {
            return "Install the locale on this host, or use server programs that know its provider."
        }
        return nil
    }
}
