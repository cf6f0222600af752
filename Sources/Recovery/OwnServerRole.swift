import Platform
public import Postgres

/// Who to be on a temporary server of ours. Its socket is tidemark's alone and admits everybody by any name, so the role is
/// one of the recovered cluster's own superusers: the role of `conninfo` need have no right there that it doesn't need on
/// the living server, and need not have existed at the target. The data isn't trusted: what runs code of its own is asked
/// by a `ReadingRole` instead.
public enum OwnServerRole {
    /// Opens a session as the first that is a superuser; as any other only when none can be had.
    ///
    /// - Parameters:
    ///   - names: in the order in which they are tried; nil is whoever the connection string names. One that gets in without
    ///     being a superuser is asked who is: the backup may know other names than the target.
    ///   - dataDirectory: the server's. A superuser's session with any other server is given up at once: what is done in ours
    ///     must be done nowhere else, wherever the socket, the environment or a setting may lead.
    ///   - connect: opens a session by that name.
    /// - Returns: the session; and one of the first name that got in, if that isn't the same.
    /// - Throws: why nobody got in; at once when the database doesn't exist, or when another server answers.
    public static func open(
        _ names: [String?], of dataDirectory: String, _ connect: (String?) throws(ConnectionFailure) -> Connection
    ) throws(ConnectionFailure) -> (session: Connection, other: Connection?) {
        var other: Connection?
        var failure: ConnectionFailure?
        var stranger: String?
        var waiting = names
        var tried: Set<String?> = []
        while !waiting.isEmpty {
            let name = waiting.removeFirst()
            guard tried.insert(name).inserted else { continue }
            let session: Connection
            do { session = try connect(name) } catch {
                if error.kind == .noSuchDatabase { throw error }
                // Why one who exists can't come in says more than that another doesn't exist.
                if failure == nil || failure?.kind == .noSuchUser { failure = error }
                continue
            }
            // A session of which it isn't known whether it is a superuser's is nobody's to use.
            do throws(QueryFailure) {
                // Whoever isn't a superuser may not ask for the place.
                let place = try session.query(
                    "SELECT current_setting('data_directory') FROM pg_roles WHERE rolname = current_user AND rolsuper"
                ).scalar
                if let place, Files.resolved(place) == Files.resolved(dataDirectory) {
                    try pin(session)
                    return (session, other)
                }
                stranger = place
            } catch {
                failure = ConnectionFailure(libpqMessage: error.reason)
                continue
            }
            if let stranger {
                throw ConnectionFailure(
                    libpqMessage: "the server of \"\(stranger)\" answers instead of that of \"\(dataDirectory)\"")
            }
            if other == nil {
                other = session
                let ask = "SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY oid"
                let known = try? session.query(ask)
                waiting = (known?.values.compactMap { $0[0] } ?? []) + waiting
            }
        }
        if let other { return (other, nil) }
        throw failure ?? ConnectionFailure(libpqMessage: "no role is known")
    }

    /// Keeps a superuser's session from what the data might run in it: triggers, event triggers, and views in place of tables.
    static func pin(_ session: Connection) throws(QueryFailure) {
        try session.query("SET session_replication_role = replica")
        // The newest minor versions of 12 to 16 have the second, 17 has both.
        try session.query(
            """
            SELECT set_config(name, CASE name WHEN 'event_triggers' THEN 'off' ELSE 'view, foreign-table' END, false)
            FROM pg_settings WHERE name IN ('event_triggers', 'restrict_nonsystem_relation_kind')
            """)
    }
}
