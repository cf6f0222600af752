public import Backups
import Configuration
import DataDirectory
import Glibc
public import Planning
import Platform
public import Postgres
public import Repository
public import Restoring
public import WAL

/// A rehearsed recovery: into a scratch cluster with a private socket, without archiving and without background work
/// that reaches outside. The scratch cluster is removed afterwards, whatever happens.
public struct Drill: Sendable {
    public var plan: Plan
    public var backup: BackupDescription
    /// Gets a private directory for the state it keeps between calls.
    public var restoreCommand: @Sendable (_ stateDirectory: String) -> String
    public var scratchDirectory: String
    public var binDirectory: String
    /// The checks run in its database, with its role's `search_path`.
    public var conninfo: ConnectionString
    public var jobs: Int
    public var checks: [DrillCheck]
    /// How long restore and replay may each make no progress, and how long the checks may take together, in
    /// milliseconds.
    public var limit: Int64 = .max / 2_000_000
    /// The user's own settings.
    public var extra: [RecoverySetting] = []

    public init(
        plan: Plan, backup: BackupDescription, restoreCommand: @escaping @Sendable (String) -> String,
        scratchDirectory: String, binDirectory: String,
        conninfo: ConnectionString, jobs: Int, checks: [DrillCheck]
    ) {
        (self.plan, self.backup, self.restoreCommand) = (plan, backup, restoreCommand)
        (self.scratchDirectory, self.binDirectory) = (scratchDirectory, binDirectory)
        (self.conninfo, self.jobs, self.checks) = (conninfo, jobs, checks)
    }

    /// Recovers, checks, and cleans up. An error from `restoring`, `replaying` or `checking` ends it.
    ///
    /// - Parameter checking: called before each check.
    /// - Throws: what restoring and recovering throw; the scratch cluster is removed then, too.
    public func run(
        of archive: ClusterArchive,
        restoring: @escaping @Sendable (CopyProgress) throws -> Void = { _ in },
        replaying: (ReplayProgress) throws -> Void = { _ in }, checking: () throws -> Void = {}
    ) throws -> DrillReport {
        try ScratchDirectory.reclaim(in: scratchDirectory)
        try Files.makeDirectories(scratchDirectory, mode: 0o700)
        let space = try Files.space(at: scratchDirectory)
        let needed = plan.backup.size + 4 * Int64(plan.segmentSize)
        guard space.free > needed else {
            throw Problem(
                "not enough space for a drill in \"\(scratchDirectory)\"",
                detail:
                    "The backup needs \(Quantity.pretty(bytes: needed)); \(Quantity.pretty(bytes: space.free)) are free.",
                hint: "Free space, or name another place with --scratch-directory.")
        }
        let scratch = try ScratchDirectory(for: .drill, in: scratchDirectory)
        let result: Result<DrillReport, any Error> = Result {
            try rehearseLeased(
                in: scratch, of: archive, restoring: restoring, replaying: replaying, checking: checking)
        }
        // The drill's error matters more than one of the removal; the next drill or "clean" removes the rest.
        do { try scratch.remove() } catch { if case .success = result { throw error } }
        return try result.get()
    }

    private func rehearseLeased(
        in scratch: ScratchDirectory, of archive: ClusterArchive,
        restoring: @escaping @Sendable (CopyProgress) throws -> Void, replaying: (ReplayProgress) throws -> Void,
        checking: () throws -> Void
    ) throws -> DrillReport {
        let lease = try PlanLease(plan, of: archive)
        return try lease.reading {
            try rehearse(
                in: scratch, of: archive, restoring: restoring,
                replaying: {
                    try lease.confirm()
                    try replaying($0)
                }, checking: checking)
        }
    }

    private func rehearse(
        in scratch: ScratchDirectory, of archive: ClusterArchive,
        restoring: @escaping @Sendable (CopyProgress) throws -> Void, replaying: (ReplayProgress) throws -> Void,
        checking: () throws -> Void
    ) throws -> DrillReport {
        let began = Clock.monotonic
        try HostDemands(original: backup.settings, chosen: extra, plan: plan).refuseTooLow()
        let superusers = try RelationMap.superusers(of: plan.backup.label, of: archive)
        let (path, socket) = (scratch.path, scratch.socketDirectory)
        try createDurably(path + "/pg_hba.conf", bytes: Array("local all all trust\n".utf8), mode: 0o600)
        try createDurably(path + "/pg_ident.conf", bytes: [], mode: 0o600)
        var setup = RecoverySetup(restoreCommand: restoreCommand(path + "/state"), isOwnDirectory: false)
        let own = Set(extra.map(\.name))
        setup.original = backup.settings
        setup.extra =
            CopySettings.scratch(
                major: plan.majorVersion, socketDirectory: socket, rulesFile: path + "/pg_hba.conf",
                mapFile: path + "/pg_ident.conf"
            ).filter { !own.contains($0.name) } + extra
        let directory = scratch.data
        var request = RecoverRequest(plan: plan, backup: backup, directory: directory, setup: setup, jobs: jobs)
        for tablespace in backup.tablespaces {
            let place = "\(path)/tablespaces/\(tablespace.oid)"
            try Files.makeDirectories(place, mode: 0o700)
            request.tablespaceMapping[tablespace.location] = place
        }
        let prepared = try watchRestore(limit: self.limit, progress: restoring) { [request] progress in
            try prepareRecovery(request, of: archive, progress: progress)
        }
        try completeRestore(directory)
        let server = ServerProcess(
            binDirectory: binDirectory, dataDirectory: directory, logFile: scratch.log,
            options: prepared.serverOptions, confinement: scratch.confinement)
        let effective = Dictionary(setup.extra.map { ($0.name, $0.value) }) { $1 }
        let (host, port) = (effective["unix_socket_directories"] ?? socket, effective["port"] ?? "5432")
        try server.launch()
        var follower = ReplayFollower(
            plan: plan, server: server, setup: setup,
            conninfo: conninfo.atOwnServer(socketDirectory: host, port: port))
        follower.roles = superusers
        follower.patience = self.limit
        follower.isThrowaway = true
        let result: RecoveryResult
        var raised: [PausedReplay.Setting] = []
        do {
            result = try follower.follow(
                request, serverOptions: prepared.serverOptions, raised: { raised += $0.settings }, progress: replaying)
        } catch let pause as PausedReplay {
            // The scratch cluster is removed, so there is no recovery to resume.
            let names = pause.settings.map { "--set \($0.name)" }.joined(separator: " and ")
            throw Problem(pause.message, detail: pause.detail, hint: "Leave out \(names).")
        }
        let seconds = Double(Clock.monotonic - began) / 1e9

        var complaints: [String] = []
        if result.asPredicted == false {
            complaints.append("Recovery ended at LSN \(result.reached ?? .zero), not at \(plan.end) as planned.")
        }
        let (owner, other, talk) = try session(host, port, superusers, of: directory)
        // If no role is a superuser, the role that connected runs the checks itself.
        let isSuperuser = try owner.query("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").scalar == "t"
        let pending = try PendingTransaction.all(owner)
        let limit = try CheckLimit(milliseconds: self.limit, at: talk, data: directory)
        defer { _ = limit.stop() }
        // The locks of pending prepared transactions would block the checks, and what prepares them, for ever.
        for transaction in pending {
            do { try transaction.rollBack(talk) } catch {
                complaints.append("\(transaction.sentence) The drill could not roll it back: \(sentences(of: error))")
            }
        }
        var (reader, connection): (ReadingRole?, Connection?)
        do {
            reader = isSuperuser ? try ReadingRole(by: owner, at: talk) : nil
            connection = try reader?.session(withPathOf: other ?? owner) ?? owner
        } catch  where limit.isOver {}
        for check in checks {
            guard !limit.isOver, let connection else { break }
            try checking()
            // A check that was terminated is reported with the limit.
            if let complaint = check.complaint(connection), !limit.isOver { complaints.append(complaint) }
        }
        var ran = false
        try checking()
        if !limit.isOver {
            do {
                let (hasRun, found) = try amcheck(
                    reader, host: host, port: port, until: limit.deadline)
                ran = hasRun
                if !limit.isOver { complaints += found }
            } catch  where limit.isOver {}
        }
        if let ended = limit.stop() { complaints.append(ended) }
        return DrillReport(
            restore: prepared.restore, replaySeconds: result.seconds, seconds: seconds,
            checkedSeconds: Double(Clock.monotonic - began) / 1e9 - seconds, reached: result.reached,
            raised: raised, pending: pending.count, amcheck: ran, checks: checks.count, complaints: complaints)
    }

    /// A superuser's session, or that of the role in `conninfo` if there is none, and how to connect again.
    private func session(
        _ host: String, _ port: String, _ superusers: [String], of directory: String
    ) throws -> (owner: Connection, other: Connection?, address: ConnectionString) {
        func at(_ user: String?) -> ConnectionString {
            conninfo.atOwnServer(socketDirectory: host, port: port, user: user)
        }
        let (owner, other) = try OwnServerRole.open([nil] + superusers + ["postgres"], of: directory) {
            user throws(ConnectionFailure) in try Connection(ownServer: at(user))
        }
        let identity = try owner.query("SELECT current_user, current_database()")[0]
        var address = at(identity[0])
        // A service may leave it to the role's name.
        address["dbname"] = identity[1]
        return (owner, other, address)
    }

    /// `pg_amcheck` (14 and later) over every database: exit status 2 means damage.
    private func amcheck(_ reader: ReadingRole?, host: String, port: String, until deadline: UInt64) throws -> (
        ran: Bool, complaints: [String]
    ) {
        let program = binDirectory + "/pg_amcheck"
        guard access(program, X_OK) == 0 else { return (false, []) }
        guard let reader else {
            return (false, ["pg_amcheck was not run: no superuser can log in to the recovered cluster."])
        }
        guard try reader.knowsAmcheck() else { return (false, []) }
        let complaints = try reader.prepareAmcheck()
        let finished = try Platform.run(
            program, ["-h", host, "-p", port, "-U", reader.name, "--all", "-j", "\(jobs)"],
            environment: ServerEnvironment.own,
            // `CheckLimit` comes first: it terminates what this waits for, and reports it.
            until: deadline.addingReportingOverflow(15_000_000_000).partialValue)
        switch finished.ending {
        case .exited(0): return (true, complaints)
        default:
            let lines = (finished.output + finished.errors).split(separator: "\n").prefix(5).joined(separator: " / ")
            return (true, complaints + ["pg_amcheck complains: \(lines)"])
        }
    }
}

/// The result of a drill.
public struct DrillReport: Sendable {
    public var restore: RestoreReport
    public var replaySeconds: Double
    /// From the first file to the open server: the recovery time.
    public var seconds: Double
    /// The duration of the checks.
    public var checkedSeconds: Double
    public var reached: LSN?
    /// Settings that were raised for a restart, because the WAL demands more than the plan knew.
    public var raised: [PausedReplay.Setting]
    /// Prepared transactions that were pending at the target; the drill rolled them back.
    public var pending: Int
    /// Whether pg_amcheck was installed and ran.
    public var amcheck: Bool
    public var checks: Int
    /// What is wrong, as sentences.
    public var complaints: [String]
}
