import SQLite

/// Detects changes that another program made to a catalog's rows: a catalog without some of its rows would answer as if
/// the repository lacked the segments. Triggers record such changes; in tidemark's own sessions they are off, and cost
/// nothing.
enum OutsideChange {
    private static let tables = [
        "about", "history", "folder", "segment", "object", "chunk", "run", "event", "open",
    ]

    /// Created with the catalog's tables.
    static let definitions =
        "CREATE TABLE outside_change (name TEXT PRIMARY KEY) WITHOUT ROWID;\n"
        + tables.flatMap { table in
            ["INSERT", "UPDATE", "DELETE"].map { change in
                """
                CREATE TRIGGER outside_\(change)_of_\(table) AFTER \(change) ON "\(table)" BEGIN
                    INSERT OR IGNORE INTO outside_change VALUES ('\(table)');
                END;
                """
            }
        }.joined(separator: "\n")

    /// A table that another program has changed.
    static func table(in database: Database) throws -> String? {
        try database.text("SELECT name FROM outside_change LIMIT 1")
    }
}
