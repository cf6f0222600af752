public import DataDirectory
public import Planning
public import Platform
public import Postgres
public import WAL

/// The progress of a replay.
public struct ReplayProgress: Sendable, Equatable {
    /// The segment being replayed.
    public var segment: String?
    /// How many of the plan's segments are done.
    public var done: Int
    public var total: Int
    public var seconds: Double
    /// The last transaction's time, once the server answers queries.
    public var time: String?
    /// Why replay has made no progress for a while, in words.
    public var standstill: String?

    public init(segment: String? = nil, done: Int, total: Int, seconds: Double) {
        (self.segment, self.done, self.total, self.seconds) = (segment, done, total, seconds)
    }

    /// The seconds that the rest will take at the present rate; nil while unknown.
    public var secondsLeft: Double? { done > 0 ? seconds / Double(done) * Double(max(0, total - done)) : nil }
}

/// The result of a recovery.
public struct RecoveryResult: Sendable, Equatable {
    public enum State: String, Sendable {
        /// Recovery has ended; the server is a primary on a timeline of its own.
        case promoted
        /// Recovery has reached the target and is paused; the server answers queries.
        case paused
        case shutDown = "shut_down"
        /// The server follows the archive and answers queries.
        case standby
    }
    public var state: State
    /// The new timeline.
    public var timeline: TimelineID?
    /// The end of the last record that was replayed.
    public var reached: LSN?
    /// Why replay ended there, in the server's words: `before transaction 740 at …`.
    public var reason: String?
    /// Whether that is the position the plan named; nil where it can't be compared. If the archive has grown since the
    /// plan was made, a position beyond the plan's end is as predicted, too.
    public var asPredicted: Bool?
    /// Recovery to the end of the archive continued past the end that the plan saw.
    public var archiveHasGrown = false
    public var seconds: Double
    /// What still has to be done, as a sentence.
    public var problem: String?
}

/// The server went down before it reached the target.
public struct RecoveryFailure: Explained, Equatable {
    /// The server's last words.
    public let lastWords: [String]
    /// What they mean, and what to do.
    public let meaning: String?
    /// Nil where it is removed with the directory.
    public let logFile: String?
    public let dataDirectory: String
    /// The command that continues the recovery; nil where that isn't possible.
    let resume: String?
    public var message: String { "the server stopped before it reached the target" }
    public var detail: String? {
        (lastWords.isEmpty ? "It left no message." : "Its last words: " + lastWords.joined(separator: " / "))
            + (logFile.map { " The log is \"\($0)\"." } ?? "")
    }
    public var hint: String? {
        if let meaning { return meaning }
        return resume.map { "Remove the cause that the log names, then continue with \"\($0)\"." }
            ?? "Remove the cause that its last words name, then run the same command again."
    }
}

/// Watches a server that recovers, from its start to the target.
public struct ReplayFollower: Sendable {
    public let plan: Plan
    public let server: ServerProcess
    public let setup: RecoverySetup
    /// Role and database for querying the server; its postmaster.pid says where it is. What can't be queried is read
    /// from the data directory.
    public let conninfo: ConnectionString
    /// Other roles that may exist at the target, when that of `conninfo` doesn't.
    public var roles: [String] = []
    /// How long replay may make no progress, in milliseconds; nil for no limit.
    public var patience: Int64?
    /// Whether the directory is removed afterwards, and the log with it: in a drill.
    public var isThrowaway = false
    /// Whether `recover --resume` can continue the recovery.
    public var canResume = true

    public init(plan: Plan, server: ServerProcess, setup: RecoverySetup, conninfo: ConnectionString) {
        (self.plan, self.server, self.setup, self.conninfo) = (plan, server, setup, conninfo)
    }

    /// Returns when the target is reached and the target action done.
    /// - Parameter began: when the server was started (`Clock.monotonic`).
    /// - Throws: `RecoveryFailure`, `PausedReplay`, `ReplayStandstill`.
    public func follow(
        since began: UInt64 = Clock.monotonic, progress: (ReplayProgress) throws -> Void = { _ in }
    ) throws -> RecoveryResult {
        func elapsed() -> Double { Double(Clock.monotonic - began) / 1e9 }
        let numbers = plan.segments.flatMap { range in
            (0..<UInt64(range.count)).map { range.first.number(segmentSize: plan.segmentSize) + $0 }
        }
        var now = ReplayProgress(done: 0, total: numbers.count, seconds: 0)
        var connection: Connection?
        var problem: String?
        var movement = Movement(limit: patience)
        var status: String?
        var (ticks, nextTry) = (0, 0)
        while true {
            if ticks > 0 { Clock.sleep(milliseconds: 50) }
            ticks += 1
            guard let running = try server.dataDirectory.runningServer() else { return try afterwards(elapsed()) }
            // postmaster.pid shows at once that the server has opened; the other polling is only for display.
            guard running.status != status || ticks < 50 || ticks % 4 == 0 else { continue }
            status = running.status
            if let segment = try server.replayedSegment(), let name = SegmentName(segment) {
                now.segment = segment
                let number = name.number(segmentSize: plan.segmentSize)
                now.done = max(now.done, numbers.firstIndex { $0 >= number } ?? numbers.count)
            }
            // Before that it would refuse, and fill its log with refusals.
            if connection == nil, status == "ready" || status == "standby", ticks >= nextTry {
                do throws(ConnectionFailure) { (connection, problem) = (try connect(to: running), nil) } catch {
                    problem = error.reason
                    // A standby with hot_standby off accepts no connections.
                    if setup.isStandby, status == "ready" { return try result(.standby, nil, elapsed()) }
                    nextTry = ticks + 20
                }
            }
            if let answering = connection {
                do {
                    now.time = try answering.query("SELECT pg_last_xact_replay_timestamp()").scalar
                    if let state = try settled(answering) {
                        return try result(state, answering, elapsed())
                    }
                } catch is QueryFailure {
                    connection = nil
                }
            } else if try hasOpened() {
                return try result(.promoted, nil, elapsed())
            }
            now.seconds = elapsed()
            now.standstill = try movement.note(now) {
                server.standstill(now.segment, connection, problem: problem)
            }
            try progress(now)
        }
    }

    /// A session with this server and no other; nil when another one answers.
    public func connect(to running: PostmasterFile) throws(ConnectionFailure) -> Connection? {
        let connection = try followingSession(conninfo.withIdentity.at(running), [nil] + roles, plan.majorVersion)
        // A role without the privilege is still used; the socket is that of the process in postmaster.pid.
        func ask(_ sql: String) throws(QueryFailure) -> String? {
            do { return try connection.query(sql).scalar } catch {
                guard error.sqlState == "42501" else { throw error }
                return nil
            }
        }
        do throws(QueryFailure) {
            let identifier = try ask("SELECT system_identifier FROM pg_control_system()")
            let process = try ask("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
            if let identifier, let own = try? server.dataDirectory.controlFile().systemIdentifier,
                identifier != "\(Int64(bitPattern: own))"
            {
                return nil
            }
            if let process, Files.resolved(process) != Files.resolved(server.dataDirectory.path) { return nil }
        } catch { throw ConnectionFailure(libpqMessage: error.reason) }
        return connection
    }

    /// The server's state, once it no longer changes; nil before.
    private func settled(_ connection: Connection) throws -> RecoveryResult.State? {
        guard try connection.isStandby() else { return .promoted }
        if let pause = try PausedReplay(connection, server.dataDirectory) { throw pause }
        if setup.isStandby { return .standby }
        guard setup.action == .pause else { return nil }
        return try connection.query("SELECT pg_is_wal_replay_paused()").scalar == "t" ? .paused : nil
    }

    /// For servers that can't be queried: pg_control says `in production` once recovery has ended. Before recovery
    /// begins it says the same, because the original was in production when it was copied; the signal file is removed
    /// only at the end.
    private func hasOpened() throws -> Bool {
        guard let control = try? server.dataDirectory.controlFile(), control.state == .inProduction else {
            return false
        }
        return try ["recovery.signal", "standby.signal"].allSatisfy {
            try !Files.exists(server.dataDirectory.path + "/" + $0)
        }
    }

    /// Called when the server has exited.
    private func afterwards(_ seconds: Double) throws -> RecoveryResult {
        let control = try? server.dataDirectory.controlFile()
        if setup.action == .shutdown, !setup.isStandby, control?.state == .shutDownInRecovery {
            let end = try control.map { try replayEnd(at: $0.minimumRecoveryPoint, $0) }
            return RecoveryResult(
                state: .shutDown, timeline: nil, reached: end?.position, reason: nil,
                asPredicted: end?.isEnd(of: plan), seconds: seconds)
        }
        let log = server.log()
        let request = PlanRequest(plan.target, backup: plan.backup.label)
        throw RecoveryFailure(
            lastWords: LastWords.of(log),
            meaning: LastWords.meaning(of: log, target: request.arguments, resume: resume) ?? fullDisk(),
            logFile: isThrowaway ? nil : server.logFile, dataDirectory: server.dataDirectory.path, resume: resume)
    }

    private var resume: String? {
        isThrowaway || !canResume ? nil : resumeCommand(server.dataDirectory.path)
    }

    /// A server without space for its data may have none for its last messages either.
    private func fullDisk() -> String? {
        guard let free = try? Files.space(at: server.dataDirectory.path).free, free < Int64(plan.segmentSize) else {
            return nil
        }
        return LastWords.fullDisk(resume: resume)
    }

    private func result(_ state: RecoveryResult.State, _ connection: Connection?, _ seconds: Double) throws
        -> RecoveryResult
    {
        var result = RecoveryResult(state: state, seconds: seconds)
        var end: ReplayEnd?
        switch state {
        case .promoted:
            // The server's recovery_end_command has done so already, unless it failed.
            do { try RecoveryRecord.takeOut(of: server.dataDirectory) } catch {
                result.problem =
                    "The recovery's settings could not be removed from postgresql.auto.conf (\(error)): remove them with \"tidemark "
                    + "recovery-end --data-directory \(shellQuoted(server.dataDirectory.path))\" before anybody copies the directory."
            }
            // The new timeline's first segment holds the last commits before the fork. An idle server would archive it
            // only when somebody writes. Without the right to do it, what is written later fills the segment.
            if setup.isOwnDirectory, let connection { _ = try? connection.query("SELECT pg_switch_wal()") }
            // A server that found nothing of the plan's last timeline may take the same number for its own.
            if let history = try ownHistory(), let last = history.ancestors.last {
                result.timeline = history.timeline
                result.reached = last.switchPoint
                result.reason = last.reason
                end = ReplayEnd(position: last.switchPoint, known: last.switchPoint, history: history)
            }
        case .paused, .standby:
            result.reached = try connection?.query("SELECT pg_last_wal_replay_lsn()").scalar.flatMap { LSN($0) }
            let control = try server.dataDirectory.controlFile()
            end = try result.reached.map { try replayEnd(at: $0, control) }
        case .shutDown: break
        }
        if state != .standby {
            result.asPredicted = end?.isEnd(of: plan)
            // Where the end isn't known, it doesn't count as predicted.
            if state == .promoted { result.asPredicted = result.asPredicted ?? false }
            if result.asPredicted == false, plan.stop == nil, end?.isBeyond(plan) == true {
                (result.asPredicted, result.archiveHasGrown) = (true, true)
            }
        }
        return result
    }

    private func replayEnd(at position: LSN, _ control: ControlFile) throws -> ReplayEnd {
        let timeline = control.minimumRecoveryTimeline
        let own = try TimelineHistory(timeline, in: server.dataDirectory.path)
        return ReplayEnd(
            position: position, known: min(position, control.minimumRecoveryPoint),
            history: own ?? TimelineHistory(timeline))
    }

    /// The history of the timeline that the server began when it was promoted: it is the only one written since it was
    /// started.
    private func ownHistory() throws -> TimelineHistory? {
        let control = try server.dataDirectory.controlFile()
        let timeline = control.serverTimeline
        return try TimelineHistory(timeline, in: server.dataDirectory.path)
    }
}
