import Platform
import Postgres

/// A lock that a change in the live database needs could not be obtained in time.
struct LockWaitEnded: Explained {
    /// Sessions with an open transaction, as `process 4711 (idle in transaction)`.
    let sessions: [String]
    var message: String { "tables of the live database are in use" }
    var detail: String? {
        "A lock could not be obtained within \(Connection.lockSeconds) seconds; nothing was changed."
            + (sessions.isEmpty ? "" : " These sessions have locks: \(sessions.joined(separator: ", ")).")
    }
    var hint: String? { "Wait for those sessions to end, or end them (pg_terminate_backend), then try again." }
}

extension Connection {
    static let lockSeconds = 30

    /// A session in which the live database is changed.
    static func live(_ request: TableRecoveryRequest) throws(ConnectionFailure) -> Connection {
        let live = try Connection(
            request.liveConninfo, serverOn: request.liveDirectory, database: request.database)
        // When this process is killed while a statement waits for a lock, others must not wait behind it any longer.
        if live.majorVersion >= 14 { try? live.execute("SET client_connection_check_interval = '1s'") }
        return live
    }

    /// Runs `body` in one transaction, in which no lock is waited for endlessly: others wait behind it.
    ///
    /// - Parameter body: returns a result, and what the transaction achieves as a sentence.
    /// - Throws: `LockWaitEnded`, and what `body` throws; nothing has been changed then.
    func transaction<Value>(_ body: () throws -> (Value, outcome: String?)) throws -> Value {
        try execute("BEGIN; SET LOCAL lock_timeout = '\(Connection.lockSeconds)s'")
        do {
            let (value, outcome) = try body()
            try LastStep.run(outcome) { try execute("COMMIT") }
            return value
        } catch {
            try? execute("ROLLBACK")
            guard let failure = error as? QueryFailure, failure.sqlState == "55P03" else { throw error }
            throw LockWaitEnded(sessions: (try? holders()) ?? [])
        }
    }

    /// The sessions that have locked relations of the database other than catalogs.
    private func holders() throws(QueryFailure) -> [String] {
        try query(
            """
            SELECT DISTINCT 'process ' || a.pid || coalesce(' (' || a.state || ')', '') FROM pg_stat_activity a
            JOIN pg_locks l ON l.pid = a.pid WHERE a.pid <> pg_backend_pid() AND l.granted AND l.relation >= 16384
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1 LIMIT 5
            """
        ).values.compactMap { $0[0] }
    }
}
