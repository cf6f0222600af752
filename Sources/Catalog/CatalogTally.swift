import SQLite

/// How many rows each of a catalog's tables has, by its own count: rows that somebody else has removed or added are missed
/// there. It is kept by triggers that only tidemark's own sessions have, in the transaction that changes the rows.
enum CatalogTally {
    private static let tables = ["segment", "object", "chunk", "run", "event", "open", "folder", "history", "backup"]

    /// For a catalog that has just been made.
    static func begin(in database: Database) throws {
        try database.execute("CREATE TABLE tally (name TEXT PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID")
        for table in tables { try database.run("INSERT INTO tally VALUES (?, 0)", table) }
    }

    /// To be called for every session, before it changes anything.
    static func keep(in database: Database) throws {
        // Without the first, a row that replaces another one would be counted and that one would not.
        try database.execute("PRAGMA recursive_triggers = ON; PRAGMA temp_store = MEMORY")
        for table in tables {
            for (change, sign) in [("INSERT", "+"), ("DELETE", "-")] {
                try database.execute(
                    """
                    CREATE TEMP TRIGGER tally_\(table)_\(change) AFTER \(change) ON main.\(table) BEGIN
                        UPDATE tally SET amount = amount \(sign) 1 WHERE name = '\(table)';
                    END
                    """)
            }
        }
    }

    /// A table that has other rows than were counted.
    static func wrong(in database: Database) throws -> String? {
        // One statement sees one state of the file, whoever else changes it.
        let counts = tables.map { "SELECT '\($0)' AS name, (SELECT count(*) FROM main.\"\($0)\") AS amount" }
        return try database.text(
            """
            SELECT found.name FROM (\(counts.joined(separator: " UNION ALL "))) found
            LEFT JOIN tally USING (name) WHERE found.amount IS NOT tally.amount LIMIT 1
            """)
    }
}
