import Platform
public import WAL

extension Connection {
    /// The current value of a setting in its base unit (`pg_settings.setting`), unlike `SHOW`; nil when the setting
    /// doesn't exist or the role may not see it.
    public func setting(_ name: String) throws(QueryFailure) -> String? {
        try query("SELECT setting FROM pg_settings WHERE name = $1", [name]).scalar
    }

    /// Several settings at once; missing ones are omitted.
    public func settings(_ names: [String]) throws(QueryFailure) -> [String: String] {
        let list = "{" + names.joined(separator: ",") + "}"
        var found: [String: String] = [:]
        for row in try query("SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[])", [list]).values {
            if let name = row[0], let value = row[1] { found[name] = value }
        }
        return found
    }

    public func isStandby() throws(QueryFailure) -> Bool { try query("SELECT pg_is_in_recovery()").scalar == "t" }

    /// The server's clock.
    public func now() throws -> Moment {
        let text = try query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").scalar
        guard let text, let microseconds = Int64(text) else { throw Problem("the server did not report its time") }
        return Moment(microseconds: microseconds)
    }

    /// The end of WAL; on a standby, the replay position.
    public func currentLSN() throws -> LSN {
        let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
        return try lsn(query(sql).scalar)
    }

    /// The timeline that a server writes on; not on a standby.
    public func currentTimeline() throws -> TimelineID {
        let text = try query("SELECT pg_walfile_name(pg_current_wal_lsn())").scalar
        guard let text, let segment = SegmentName(text) else { throw Problem("the server did not report its timeline") }
        return segment.timeline
    }

    /// The timeline that a standby receives; nil when it isn't receiving, or the role may not see it.
    public func receivedTimeline() throws -> TimelineID? {
        try query("SELECT received_tli FROM pg_stat_wal_receiver").scalar.flatMap { UInt32($0) }.map { TimelineID($0) }
    }

    public func systemIdentifier() throws -> UInt64 {
        let text = try query("SELECT system_identifier FROM pg_control_system()").scalar
        // bigint: the identifier may appear as a negative number.
        guard let text, let value = Int64(text) else {
            throw Problem("the server did not report its system identifier")
        }
        return UInt64(bitPattern: value)
    }

    func lsn(_ text: String?) throws -> LSN {
        guard let text, let lsn = LSN(text) else {
            throw Problem("the server answered \"\(text ?? "NULL")\" where a WAL position was expected")
        }
        return lsn
    }
}

/// The contents of `pg_stat_archiver`.
public struct ArchiverState: Sendable, Equatable {
    public let lastArchived: String?
    public let failedCount: Int
    public let lastFailed: String?

    /// Whether the last attempt failed and none has succeeded since.
    public let isFailing: Bool
}

extension Connection {
    public func archiverState() throws(QueryFailure) -> ArchiverState {
        let rows = try query(
            """
            SELECT last_archived_wal, failed_count, last_failed_wal,
                   last_failed_time IS NOT NULL AND last_failed_time > coalesce(last_archived_time, '-infinity')
            FROM pg_stat_archiver
            """)
        let row = rows.values.first ?? [nil, nil, nil, nil]
        return ArchiverState(
            lastArchived: row[0], failedCount: row[1].flatMap { Int($0) } ?? 0, lastFailed: row[2],
            isFailing: row[3] == "t")
    }
}
