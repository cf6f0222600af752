public import DataDirectory
public import Postgres
import Restoring

extension ConnectionString {
    /// The same role and database, on the server that wrote this postmaster.pid.
    public func at(_ running: PostmasterFile) -> ConnectionString {
        at(
            socketDirectory: running.socketDirectory ?? running.address ?? "localhost",
            port: running.port.map { "\($0)" })
    }
}

/// Refuses a directory on which the server runs that a connection string leads to: it may be on another host, where
/// postmaster.pid says nothing.
///
/// - Throws: `TargetInUse`.
public func refuseIfServed(_ directory: String, by conninfo: String) throws {
    // A server that does not answer, or not to this role, can't be asked.
    guard let connection = try? Connection(conninfo, patience: 10),
        (try? connection.runs(on: DataDirectory(directory))) == true
    else { return }
    throw TargetInUse(
        path: directory, reason: "The server that \"conninfo\" leads to runs on it.", advice: "Stop that server.")
}
