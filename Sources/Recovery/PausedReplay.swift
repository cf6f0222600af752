public import DataDirectory
public import Platform
public import Postgres

/// With hot_standby, a recovering server waits for ever where the WAL demands higher settings than it has (from 14 on;
/// `RecoveryRequiresIntParameter`, src/backend/access/transam/xlogrecovery.c). A server that has reached its target and
/// pauses there differs from it only in its settings.
public struct PausedReplay: Explained, Equatable {
    public struct Setting: Sendable, Hashable {
        public let name: String
        public let demanded, present: Int64
    }
    /// By name; never empty.
    public let settings: [Setting]
    public let directory: String

    public var message: String { "replay has paused: WAL requires higher settings than this server has" }
    public var detail: String? {
        settings.map { "It requires \($0.name) = \($0.demanded), the server has \($0.present)." }.joined(separator: " ")
    }
    public var hint: String? {
        "Stop the server, and continue with \"\(resumeCommand(directory)) "
            + settings.map { "--set \($0.name)=\($0.demanded)" }.joined(separator: " ") + "\"."
    }

    /// - Parameter connection: to the server on that directory.
    /// - Returns: nil when replay isn't paused, or is paused for another reason.
    /// - Throws: `QueryFailure`, and what reading pg_control throws.
    public init?(_ connection: Connection, _ directory: DataDirectory) throws {
        // On a server that isn't in recovery the function fails.
        let ask = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END"
        guard try connection.query(ask).scalar == "t" else { return nil }
        let demands = HostDemands.soFar(try directory.controlFile())
        let present = try connection.settings(Array(demands.keys))
        settings = demands.sorted { $0.key < $1.key }.compactMap { name, demanded in
            guard let value = present[name].flatMap({ Int64($0) }), value < demanded else { return nil }
            return Setting(name: name, demanded: demanded, present: value)
        }
        self.directory = directory.path
        if settings.isEmpty { return nil }
    }
}

extension ReplayFollower {
    /// As `follow`, but a server that has paused because the WAL demands higher settings, which the plan could not
    /// know, is restarted with them.
    ///
    /// - Parameter raised: gets the settings.
    /// - Throws: `PausedReplay` where a setting was chosen by the user, or comes from elsewhere.
    public func follow(
        _ request: RecoverRequest, serverOptions: [String], since began: UInt64 = Clock.monotonic,
        raised: (PausedReplay) -> Void = { _ in }, progress: (ReplayProgress) throws -> Void = { _ in }
    ) throws -> RecoveryResult {
        var earlier: PausedReplay?
        while true {
            do { return try follow(since: began, progress: progress) } catch let pause as PausedReplay {
                let chosen = Set(setup.extra.map(\.name))
                guard pause != earlier, !pause.settings.contains(where: { chosen.contains($0.name) }) else {
                    throw pause
                }
                earlier = pause
                raised(pause)
                try server.stop()
                try writeSettings(request, serverOptions: serverOptions)
                try server.launch()
            }
        }
    }
}
