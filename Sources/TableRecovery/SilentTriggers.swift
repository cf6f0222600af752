import Postgres

/// Disables triggers that would fire when lost rows are inserted: nothing is to be counted, logged or sent again. Those
/// of each table and of each partition are disabled separately, and get back their former mode.
///
/// `session_replication_role` isn't used: it would also disable the checks of foreign keys.
struct SilentTriggers {
    private struct Trigger {
        let table, name, mode: String
    }
    private let live: Connection
    private let triggers: [Trigger]

    /// Within a transaction. Waits for writers only if there is a trigger, see `Connection.lock`.
    ///
    /// - Parameter tables: with their OIDs.
    /// - Throws: `TableInUse`.
    init(of tables: [(name: TableName, oid: String)], live: Connection, progress: (String) throws -> Void) throws {
        self.live = live
        let numbers = tables.map(\.oid)
        if try SilentTriggers.find(numbers, live).isEmpty {
            triggers = []
            return
        }
        // As ALTER TABLE would.
        try live.lock(tables.map(\.name), in: "SHARE ROW EXCLUSIVE", progress: progress)
        triggers = try SilentTriggers.find(numbers, live)
        for trigger in triggers {
            try live.execute("ALTER TABLE ONLY \(trigger.table) DISABLE TRIGGER \(trigger.name)")
        }
    }

    /// The triggers of the tables and their partitions that are enabled and fire on insertion.
    private static func find(_ numbers: [String], _ live: Connection) throws -> [Trigger] {
        let modes = ["O": "", "A": "ALWAYS ", "R": "REPLICA "]
        return try live.query(
            """
            WITH wanted AS (SELECT unnest($1::oid[]) AS oid)
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(t.tgname), t.tgenabled
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE t.tgrelid IN (SELECT oid FROM wanted
                                UNION SELECT p.relid FROM wanted w, pg_partition_tree(w.oid::regclass) p)
            AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND (t.tgtype & 4) <> 0 ORDER BY 1, 2
            """, ["{\(numbers.joined(separator: ","))}"]
        ).values.compactMap { row in
            modes[row[2] ?? ""].map { Trigger(table: row[0] ?? "", name: row[1] ?? "", mode: $0) }
        }
    }

    /// Called when all rows are inserted. Deferred checks are made now: a table with pending ones can't be altered.
    func enableAgain() throws {
        guard !triggers.isEmpty else { return }
        try live.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for trigger in triggers {
            try live.execute("ALTER TABLE ONLY \(trigger.table) ENABLE \(trigger.mode)TRIGGER \(trigger.name)")
        }
    }
}
