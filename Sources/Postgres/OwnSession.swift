/// Settings for tidemark's own sessions, whatever a role, a database or the server's configuration sets: those settings
/// are made for applications, not for backups.
enum OwnSession {
    /// - Parameter major: the server's major version; a setting that it doesn't know would be an error.
    static func settings(major: Int) -> [(name: String, value: String)] {
        var settings = [
            // search_path must not change which functions are called, nor role what may be read.
            ("search_path", "pg_catalog"), ("role", "none"), ("client_encoding", "UTF8"),
            // A backup waits and works as long as it takes.
            ("statement_timeout", "0"), ("lock_timeout", "0"), ("idle_in_transaction_session_timeout", "0"),
            // A database made read-only after an accident must still be repairable by recover-table. A standby doesn't
            // support serializable transactions.
            ("default_transaction_read_only", "off"), ("default_transaction_isolation", "read committed"),
            ("default_transaction_deferrable", "off"),
            // Output as text must be readable as input.
            ("datestyle", "ISO"), ("intervalstyle", "postgres"), ("extra_float_digits", "1"), ("bytea_output", "hex"),
            ("standard_conforming_strings", "on"), ("row_security", "off"),
        ]
        if major >= 14 { settings.append(("idle_session_timeout", "0")) }
        if major >= 17 { settings.append(("transaction_timeout", "0")) }
        return settings
    }

    static func statement(major: Int) -> String {
        settings(major: major).map { "SET \($0.name) = '\($0.value)'" }.joined(separator: "; ")
    }
}
