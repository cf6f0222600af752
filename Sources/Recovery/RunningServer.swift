public import DataDirectory
public import Postgres

extension ConnectionString {
    /// The same role and database, on the server that wrote this postmaster.pid.
    public func at(_ running: PostmasterFile) -> ConnectionString {
        at(
            socketDirectory: running.socketDirectory ?? running.address ?? "localhost",
            port: running.port.map { "\($0)" })
    }
}
