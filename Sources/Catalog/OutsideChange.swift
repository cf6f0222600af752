import SQLite

/// Notices when somebody else has changed a catalog's rows, by hand or with another program: a catalog without some of its
/// rows would answer as if the repository held no more. Triggers write it down; in tidemark's own sessions they are off, so
/// that they cost nothing.
enum OutsideChange {
    private static let tables = [
        "about", "history", "folder", "segment", "object", "chunk", "run", "event", "open",
    ]

    /// For a catalog that is being made, beside its tables.
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

    /// A table that somebody else has changed.
    static func table(in database: Database) throws -> String? {
        try database.text("SELECT name FROM outside_change LIMIT 1")
    }
}
