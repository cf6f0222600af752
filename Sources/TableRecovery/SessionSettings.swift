import Postgres

/// Settings that both ends of a copy must share, whatever the database, the role or the environment set for a session:
/// the text of a value under one setting is another value, or invalid, under another.
enum SessionSettings {
    static let forCopying: [(name: String, value: String)] = [
        ("datestyle", "ISO"), ("intervalstyle", "postgres"), ("extra_float_digits", "3"), ("bytea_output", "hex"),
        ("timezone", "UTC"), ("lc_monetary", "C"), ("array_nulls", "on"), ("xmloption", "content"),
        ("standard_conforming_strings", "on"), ("transform_null_equals", "off"), ("row_security", "off"),
    ]

    /// Applies the settings to the live session, and the client encoding to both: the text of a database without an
    /// encoding need not be UTF-8, and is passed on unchanged.
    static func apply(to live: Connection, _ scratch: Connection) throws {
        try live.execute(forCopying.map { "SET \($0.name) = '\($0.value)'" }.joined(separator: "; "))
        let encoding = try isUnencoded(scratch) && isUnencoded(live) ? "SQL_ASCII" : "UTF8"
        for session in [live, scratch] { try session.execute("SET client_encoding = '\(encoding)'") }
    }

    static func isUnencoded(_ session: Connection) throws -> Bool {
        try session.query("SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()")
            .scalar == "SQL_ASCII"
    }
}
