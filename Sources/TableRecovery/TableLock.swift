import Platform
import Postgres

/// A live table is in use, and stayed in use.
struct TableInUse: Explained {
    let table: TableName
    let sessions: [String]
    var message: String { "table \(table.quoted) is in use" }
    var detail: String? {
        "A lock could not be obtained within \(Connection.lockMinutes) minutes; nothing was changed."
            + (sessions.isEmpty ? "" : " It is used by process \(sessions.joined(separator: ", ")).")
    }
    var hint: String? {
        "Wait for those sessions to end, or end them (pg_terminate_backend), then try again; or use --into-table."
    }
}

extension Connection {
    static let lockMinutes = 10

    /// Locks the table exclusively until the transaction ends.
    /// - Throws: `TableInUse` after ten minutes.
    func lockOut(_ table: TableName, progress: (String) throws -> Void) throws {
        try lock([table], in: "ACCESS EXCLUSIVE", progress: progress)
    }

    /// Locks all of the tables, with their partitions, until the transaction ends.
    ///
    /// While a session waits for such a lock, all later users of the table wait behind it; so each attempt is short and
    /// releases all locks, so that others get their turn in between.
    ///
    /// - Throws: `TableInUse` after ten minutes.
    func lock(_ tables: [TableName], in mode: String, progress: (String) throws -> Void) throws {
        let end = Clock.monotonic + UInt64(Connection.lockMinutes) * 60_000_000_000
        let list = tables.map(\.sql).joined(separator: ", ")
        while true {
            try execute("SAVEPOINT before_lock; SET LOCAL lock_timeout = '2s'")
            do {
                try execute("LOCK TABLE \(list) IN \(mode) MODE")
                // Further locks of the transaction must not keep the table locked for long either.
                try execute("RELEASE SAVEPOINT before_lock; SET LOCAL lock_timeout = '\(Connection.lockSeconds)s'")
                return
            } catch {
                guard error.sqlState == "55P03" else { throw error }
                try execute("ROLLBACK TO SAVEPOINT before_lock")
                var (table, users) = (tables[0], [String]())
                for candidate in tables where users.isEmpty {
                    (table, users) = (candidate, try self.users(of: candidate))
                }
                guard Clock.monotonic < end else { throw TableInUse(table: table, sessions: users) }
                try progress("waiting for table \(table), which process \(users.joined(separator: ", ")) uses")
                Clock.sleep(milliseconds: 1000)
            }
        }
    }

    /// Processes of other sessions that have locked the table or a partition of it.
    private func users(of table: TableName) throws -> [String] {
        try query(
            """
            SELECT DISTINCT pid FROM pg_locks WHERE granted AND pid <> pg_backend_pid()
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND relation IN (SELECT to_regclass($1)::oid UNION SELECT relid::oid FROM pg_partition_tree(to_regclass($1)))
            ORDER BY 1
            """, [table.sql]
        ).values.compactMap { $0[0] }
    }
}
