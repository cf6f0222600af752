import Postgres

/// A session that only follows a replay, of the first role that can connect.
///
/// The data may name libraries and login triggers for a role or a database, which can act on other hosts, or wait for
/// ever: such code isn't for this session. Only a superuser may turn it off, so a superuser is preferred.
///
/// - Parameter names: in the order in which they are tried; nil is the role of the address.
func followingSession(
    _ address: ConnectionString, _ names: [String?], _ major: Int
) throws(ConnectionFailure) -> Connection {
    var waiting = names.map { name in
        var its = address
        if let name { its["user"] = name }
        return its
    }
    var failure = ConnectionFailure(libpqMessage: "no role is known")
    // Servers before 17 have no login triggers.
    if major >= 17 {
        let quiet = "-c event_triggers=off -c session_preload_libraries= -c local_preload_libraries="
        var others: [ConnectionString] = []
        for its in waiting {
            var pinned = its
            pinned["options"] = [its["options"], quiet].compactMap { $0 }.joined(separator: " ")
            do { return try Connection(ownServer: pinned) } catch {
                failure = error
                if error.reason.contains("permission denied to set parameter") { others.append(its) }
            }
        }
        waiting = others
    }
    for its in waiting {
        do { return try Connection(ownServer: its) } catch { failure = error }
    }
    throw failure
}
