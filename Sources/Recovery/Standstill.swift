public import Platform
public import Postgres

/// Replay made no progress for `drill_timeout`.
public struct ReplayStandstill: Explained, Equatable {
    /// Milliseconds.
    public let limit: Int64
    /// What it waited for, as a sentence.
    public let reason: String
    public var message: String { "replay made no progress for drill_timeout (\(durationText(milliseconds: limit)))" }
    public var detail: String? { reason }
    public var hint: String? { "Is the repository within reach, and does its storage answer?" }
}

/// Whether a replay makes progress, and what it is doing when it doesn't.
public struct Movement {
    private var last: ReplayProgress?
    private var lastMove: UInt64
    private let limit: Int64?
    /// After how long the user is told why replay makes no progress.
    private static let patience: UInt64 = 10_000_000_000

    /// - Parameter limit: milliseconds.
    public init(limit: Int64?, now: UInt64 = Clock.monotonic) { (self.limit, lastMove) = (limit, now) }

    /// - Parameter reason: what the replay is doing, as a sentence; evaluated only when needed.
    /// - Returns: for how long and why replay has made no progress, in words; nil while it makes some.
    /// - Throws: `ReplayStandstill`.
    public mutating func note(
        _ progress: ReplayProgress, now: UInt64 = Clock.monotonic, reason: () -> String
    ) throws(ReplayStandstill) -> String? {
        var place = progress
        (place.seconds, place.standstill) = (0, nil)
        if place != last { (last, lastMove) = (place, now) }
        let still = now - lastMove
        if let limit, still / 1_000_000 >= UInt64(max(0, limit)) {
            throw ReplayStandstill(limit: limit, reason: reason())
        }
        return still < Movement.patience ? nil : "no progress for \(still / 1_000_000_000) s: \(reason())"
    }
}

extension ServerProcess {
    /// What the startup process is doing, as a sentence.
    ///
    /// - Parameter problem: why the server could not be queried.
    public func standstill(_ segment: String?, _ connection: Connection?, problem: String? = nil) -> String {
        guard let startup = try? startupProcess() else { return "There is no process that replays." }
        if let command = startup.commands.first {
            return "The server waits for its restore_command: \(printable(command))."
        }
        let wait = try? connection?.query(
            "SELECT wait_event_type || ': ' || wait_event FROM pg_stat_activity WHERE backend_type = 'startup'"
        ).scalar
        let place = segment.map { "Replay is at segment \"\($0)\"" } ?? "The server is starting"
        return place + (wait.flatMap { $0 }.map { ", waiting for \($0)." } ?? ".")
            + (problem.map { " The server answers, but could not be queried: \($0)." } ?? "")
    }
}
