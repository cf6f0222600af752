import Platform
public import Postgres

/// The role to use on a temporary server. Only tidemark can reach its socket, which admits any role, so the role is one
/// of the recovered cluster's own superusers: the role of `conninfo` needs no right there that it doesn't need on the
/// cluster's server, and need not exist at the target. The data isn't trusted: whatever runs code from it is done by a
/// `ReadingRole`.
public enum OwnServerRole {
    /// Opens a session as the first role that is a superuser, or as another role if none is.
    ///
    /// - Parameters:
    ///   - names: in the order in which they are tried; nil is the role of the connection string. A role that can
    ///     connect but is no superuser is used to look up superusers: the backup may know other roles than the target.
    ///   - dataDirectory: the server's. A superuser's session with any other server is closed at once: what is done on
    ///     the temporary server must be done nowhere else, wherever the socket, the environment or a setting leads.
    ///   - connect: opens a session as that role.
    /// - Returns: the session, and one of the first role that could connect, if that is another.
    /// - Throws: why no role could connect; at once when the database doesn't exist, or when another server answers.
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
                // The error of an existing role says more than that another role doesn't exist.
                if failure == nil || failure?.kind == .noSuchUser { failure = error }
                continue
            }
            // A session that may be a superuser's, but isn't known to be, is not used.
            do throws(QueryFailure) {
                // Only a superuser may read data_directory.
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

    /// Keeps a superuser's session from running code in the data: triggers, event triggers, and views in place of
    /// tables.
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
