/// Settings for tidemark's own sessions, whatever a role, a database or the server's configuration sets: those settings
/// are made for applications, not for backups.
enum OwnSession {
    /// - Parameters:
    ///   - major: the server's major version; a setting that it doesn't know would be an error.
    ///   - isUnencoded: whether the database is without an encoding. Asked for UTF-8, it would refuse a whole result
    ///     for one name that isn't.
    static func settings(major: Int, isUnencoded: Bool) -> [(name: String, value: String)] {
        var settings = [
            // An odd search_path must not decide which functions are called, nor another role what may be read.
            ("search_path", "pg_catalog"), ("role", "none"), ("client_encoding", isUnencoded ? "SQL_ASCII" : "UTF8"),
            // A backup waits and works as long as it takes.
            ("statement_timeout", "0"), ("lock_timeout", "0"), ("idle_in_transaction_session_timeout", "0"),
            // A standby that is away must not let a commit wait for ever.
            ("synchronous_commit", "local"),
            // A database made read-only after an accident must still be repairable by recover-table. A standby doesn't
            // support serializable transactions.
            ("default_transaction_read_only", "off"), ("default_transaction_isolation", "read committed"),
            ("default_transaction_deferrable", "off"),
            // Output as text must be readable as input.
            ("datestyle", "ISO"), ("intervalstyle", "postgres"), ("extra_float_digits", "1"), ("bytea_output", "hex"),
            ("standard_conforming_strings", "on"), ("row_security", "off"), ("array_nulls", "on"),
            ("xmloption", "content"), ("transform_null_equals", "off"), ("quote_all_identifiers", "off"),
        ]
        if major >= 14 { settings.append(("idle_session_timeout", "0")) }
        if major >= 17 { settings.append(("transaction_timeout", "0")) }
        return settings
    }

    static func statement(major: Int, isUnencoded: Bool) -> String {
        settings(major: major, isUnencoded: isUnencoded).map { "SET \($0.name) = '\($0.value)'" }.joined(
            separator: "; ")
    }
}
