import Platform
import Postgres

/// A role created on a temporary server for everything that runs code from the data: counting a view, the user's
/// checks, operators and functions that somebody put into the database. It can read all tables, past row-level
/// security, and is no superuser; so such code can neither write a file nor run a program. It is the session's
/// authenticated role, because code can undo SET ROLE.
struct ReadingRole {
    let name: String
    private let owner: Connection
    private let address: ConnectionString

    /// - Parameters:
    ///   - owner: a session of a superuser, on a server that is not in recovery.
    ///   - address: of that superuser, for any database.
    init(by owner: Connection, at address: ConnectionString) throws {
        (self.owner, self.address) = (owner, address)
        name = "tidemark_reader_" + String(UInt64.random(in: 0 ... .max), radix: 16)
        let given = owner.majorVersion >= 14 ? "pg_monitor, pg_read_all_data" : "pg_monitor"
        try owner.query("CREATE ROLE \(name) LOGIN BYPASSRLS IN ROLE \(given)")
        // A role's settings override a database's. An empty list of libraries can only be copied from the present
        // value: written out it would be a list with one empty name.
        var settings = [("session_preload_libraries", ""), ("local_preload_libraries", "")]
        // A check may take long, and must not skip damage.
        settings += ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"].map { ($0, "0") }
        settings += ["ignore_checksum_failure", "zero_damaged_pages"].map { ($0, "off") }
        if owner.majorVersion >= 14 { settings.append(("idle_session_timeout", "0")) }
        if owner.majorVersion >= 17 { settings += [("event_triggers", "off"), ("transaction_timeout", "0")] }
        for (setting, value) in settings {
            try owner.query("SELECT set_config($1, $2, false)", [setting, value])
            try owner.query("ALTER ROLE \(name) SET \(setting) FROM CURRENT")
        }
        for database in try databases() {
            try owner.query("GRANT CONNECT ON DATABASE \(quotedIdentifier(database)) TO \(name)")
            // A connection limit doesn't apply to superusers.
            try owner.query("ALTER DATABASE \(quotedIdentifier(database)) CONNECTION LIMIT -1")
        }
        if owner.majorVersion < 14 { try grantEachSchema() }
    }

    /// The databases that accept connections, without those being dropped.
    func databases() throws(QueryFailure) -> [String] {
        try owner.query("SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY oid")
            .values.compactMap { $0[0] }
    }

    /// In the superuser's own database, which the checks use.
    private func grantEachSchema() throws {
        let schemas = try owner.query("SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_temp_'")
        for schema in schemas.values.compactMap({ $0[0] }) {
            try owner.query("GRANT USAGE ON SCHEMA \(schema) TO \(name)")
            try owner.query("GRANT SELECT ON ALL TABLES IN SCHEMA \(schema) TO \(name)")
            try owner.query("GRANT SELECT ON ALL SEQUENCES IN SCHEMA \(schema) TO \(name)")
        }
    }

    /// - Parameters:
    ///   - template: a session whose `search_path` the new one gets.
    func session(withPathOf template: Connection) throws -> Connection {
        let row = try template.query(
            "SELECT session_user, (SELECT reset_val FROM pg_settings WHERE name = 'search_path')")[0]
        let path = ReadingRole.schemas(of: row[1] ?? "").map { word in
            word == "$user" || word == "\"$user\"" ? quotedIdentifier(row[0] ?? "") : word
        }
        var own = address
        own["user"] = name
        let session = try Connection(ownServer: own)
        try session.query("SELECT pg_catalog.set_config('search_path', $1, false)", [path.joined(separator: ", ")])
        return session
    }

    /// The elements of a `search_path`, as they are written: an identifier in quotation marks may contain commas
    /// (`SplitIdentifierString`, src/backend/utils/adt/varlena.c).
    static func schemas(of path: String) -> [String] {
        var words = [""]
        var isQuoted = false
        for character in path {
            if character == "\"" { isQuoted.toggle() }
            if character == ",", !isQuoted { words.append("") } else { words[words.count - 1].append(character) }
        }
        return words.map { word in
            var word = Substring(word).drop { $0.isWhitespace }
            while word.last?.isWhitespace == true { word.removeLast() }
            return String(word)
        }.filter { !$0.isEmpty }
    }

    func knowsAmcheck() throws(QueryFailure) -> Bool {
        try owner.query("SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'").scalar == "1"
    }

    /// Lets the role call amcheck's functions in every database; installs them where they are missing. Other functions
    /// of these names may exist, so no superuser calls them.
    ///
    /// - Returns: the databases in which that failed, as sentences.
    func prepareAmcheck() throws -> [String] {
        try databases().compactMap { database in
            do {
                let session = try Connection(ownServer: address, database: database)
                try OwnServerRole.pin(session)
                try session.query("CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA pg_catalog")
                let functions = try session.query(
                    """
                    SELECT d.objid::regprocedure FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                    WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass
                        AND d.deptype = 'e' AND e.extname = 'amcheck'
                    """)
                for function in functions.values.compactMap({ $0[0] }) {
                    try session.query("GRANT EXECUTE ON FUNCTION \(function) TO \(name)")
                }
                let schema = try session.query(
                    "SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace "
                        + "WHERE extname = 'amcheck'"
                ).scalar
                if let schema { try session.query("GRANT USAGE ON SCHEMA \(schema) TO \(name)") }
                return nil
            } catch {
                return
                    "Extension amcheck could not be set up in database \"\(printable(database))\": \(sentences(of: error))"
            }
        }
    }
}
