import Glibc
import Platform
import Support
import WAL

/// One of several servers that archive into one repository. Its configuration lies outside the data directory, as on
/// Debian, so that neither pg_basebackup nor pg_rewind nor a recovery in place replaces it.
final class Server {
    let name: String
    let version: TestServer
    /// The group's directory: sockets, logs, configurations.
    let directory: String
    let port: Int
    /// Lines of postgresql.conf that this server has in addition to the group's.
    var settings: [String: String] = [:]
    /// The server it follows; nil for a primary.
    private(set) var upstream: Server?

    private let groupSettings: [String: String]

    var data: String { "\(directory)/\(name)" }
    var log: String { "\(directory)/\(name).log" }
    var configuration: String { "\(directory)/\(name).conf" }
    var serverConfiguration: String { "\(directory)/\(name).postgresql.conf" }
    var conninfo: String { "host=\(directory) port=\(port) dbname=postgres user=postgres" }

    init(_ name: String, port: Int, in directory: String, _ version: TestServer, settings: [String: String]) {
        self.name = name
        self.port = port
        self.directory = directory
        self.version = version
        groupSettings = settings
    }

    /// Writes tidemark.conf, with further lines for the cluster.
    func configure(_ lines: [String] = []) throws {
        let text =
            ([
                "repository = '\(directory)/repository'", "state_directory = '\(directory)/\(name).state'",
                "timezone = 'UTC'", "[cluster main]", "data_directory = '\(data)'", "conninfo = '\(conninfo)'",
                "bin_directory = '\(version.bin)'",
            ] + lines).joined(separator: "\n") + "\n"
        try replaceDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
    }

    /// Writes postgresql.conf: its upstream, and its own settings.
    func writeSettings() throws {
        var all = groupSettings.merging(settings) { $1 }
        all["port"] = "\(port)"
        all["unix_socket_directories"] = "'\(directory)'"
        all["listen_addresses"] = "''"
        all["primary_conninfo"] = upstream.map { "'host=\($0.directory) port=\($0.port) user=postgres'" } ?? "''"
        let lines = all.map { "\($0) = \($1)\n" }.sorted().joined()
        try replaceDurably(serverConfiguration, bytes: Array(lines.utf8), mode: 0o644)
    }

    /// Sets its upstream, from the next start or reload on.
    func follow(_ upstream: Server?) throws {
        self.upstream = upstream
        try writeSettings()
        if upstream != nil, try Files.exists(data) { try shell("touch '\(data)/standby.signal'") }
    }

    @discardableResult
    func shell(_ script: String, expectSuccess: Bool = true) throws -> Finished {
        try runAsServerUser("/bin/sh", ["-c", script], expectSuccess: expectSuccess)
    }

    @discardableResult
    func tool(_ program: String, _ arguments: [String], expectSuccess: Bool = true) throws -> Finished {
        try runAsServerUser("\(version.bin)/\(program)", arguments, expectSuccess: expectSuccess)
    }

    @discardableResult
    func tidemark(_ arguments: [String], expectSuccess: Bool = false) throws -> Finished {
        try Support.tidemark(
            arguments, environment: ["TIDEMARK_CONFIG": configuration], expectSuccess: expectSuccess)
    }

    func start() throws {
        let finished = try tool(
            "pg_ctl",
            [
                "-D", data, "-l", log, "-w", "-t", "600", "-o", "-c config_file=\(serverConfiguration)", "start",
            ], expectSuccess: false)
        guard finished.ending == .exited(0) else { throw Problem("could not start server \(name): \(logTail(15))") }
    }

    func stop(_ mode: String = "fast") throws {
        guard isRunning else { return }
        try tool("pg_ctl", ["-D", data, "-m", mode, "-w", "-t", "600", "stop"])
        try awaitEnd()
    }

    /// Like a power failure that loses no written data: no process can react.
    func kill() throws {
        guard let postmaster else { return }
        Glibc.kill(postmaster, SIGKILL)
        try awaitEnd()
        try? Files.removeIfPresent(data + "/postmaster.pid")
        // Its ID stays in use until the process is reaped, and the server respects the lock until then.
        try? Files.removeIfPresent("\(directory)/.s.PGSQL.\(port).lock")
    }

    func promote() throws {
        try tool("pg_ctl", ["-D", data, "-w", "-t", "600", "promote"])
        upstream = nil
        try writeSettings()
    }

    func reload() throws { try tool("pg_ctl", ["-D", data, "reload"]) }

    var postmaster: pid_t? {
        guard let text = try? Files.readText(data + "/postmaster.pid"), let line = text.split(separator: "\n").first
        else { return nil }
        return pid_t(line)
    }

    var isRunning: Bool { postmaster.map { Glibc.kill($0, 0) == 0 } ?? false }

    /// The processes that work in the data directory, including archive_command's.
    private func processes() -> [pid_t] {
        let all = (try? Files.list("/proc"))?.compactMap { pid_t($0) } ?? []
        return all.filter { (try? Files.readLink("/proc/\($0)/cwd")) == data }
    }

    private func awaitEnd() throws {
        for _ in 0..<12_000 {
            if processes().isEmpty { return }
            Clock.sleep(milliseconds: 25)
        }
        throw Problem("processes of server \(name) don't end: \(processes())")
    }

    /// Ends all its processes, at the end of a test.
    func end() {
        if let postmaster { Glibc.kill(postmaster, SIGQUIT) }
        try? awaitEnd()
        for process in processes() { Glibc.kill(process, SIGKILL) }
    }

    /// Runs SQL through psql, a transaction per statement; rows as lines, columns separated by `|`.
    @discardableResult
    func psql(_ statements: String...) throws -> String {
        let finished = try tool(
            "psql",
            ["-h", directory, "-p", "\(port)", "-U", "postgres", "-d", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1"]
                + statements.flatMap { ["-c", $0] })
        return finished.output.split(separator: "\n").joined(separator: "\n")
    }

    /// Runs a script of SQL in one session, a transaction per statement.
    func run(_ script: String) throws {
        let file = "\(directory)/\(name).sql"
        try replaceDurably(file, bytes: Array(script.utf8), mode: 0o644)
        try tool(
            "psql",
            [
                "-h", directory, "-p", "\(port)", "-U", "postgres", "-d", "postgres", "-Xq", "-v", "ON_ERROR_STOP=1",
                "-f", file,
            ])
    }

    /// How far a standby has received or replayed WAL, whichever is more.
    func received() throws -> LSN {
        let text = try psql(
            "select greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0'))")
        guard let lsn = LSN(text) else { throw Problem("server \(name) has no position: \(text)") }
        return lsn
    }

    /// Whether a standby still receives WAL from its upstream; from a dead one, WAL in transit.
    func isStreaming() throws -> Bool {
        try psql("select count(*) from pg_stat_wal_receiver where status = 'streaming'") != "0"
    }

    /// Where the server's timeline began.
    func fork() throws -> LSN {
        guard let last = try history().ancestors.last else { throw Problem("server \(name) is on timeline 1") }
        return last.switchPoint
    }

    /// The history of the server's timeline.
    func history() throws -> TimelineHistory {
        let name = try psql("select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
        let timeline = TimelineID(UInt32(name, radix: 16) ?? 1)
        let file = "\(data)/pg_wal/\(name).history"
        guard try Files.exists(file) else { return TimelineHistory(timeline) }
        return try TimelineHistory(timeline: timeline, file: Files.readText(file))
    }

    /// The files that wait to be archived.
    func waiting() throws -> [String] {
        try Files.list(data + "/pg_wal/archive_status").filter { $0.hasSuffix(".ready") }.sorted()
    }

    func logTail(_ lines: Int) -> String {
        ((try? Files.readText(log)) ?? "(no log)").split(separator: "\n").suffix(lines).joined(separator: "\n")
    }
}
