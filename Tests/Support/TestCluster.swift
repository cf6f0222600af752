import Glibc
public import Platform
import Synchronization

/// The PostgreSQL programs of one major version.
public enum TestServer: Int, Sendable, CaseIterable, CustomStringConvertible {
    case v13 = 13
    case v14 = 14
    case v15 = 15
    case v16 = 16
    case v17 = 17
    case v18 = 18

    /// The versions that tests of every version run on: the three that `Tests/prepare` installs; or, when
    /// `$TIDEMARK_MORE_POSTGRES` names a directory of others (`make test-versions`), those it has, as
    /// `13/bin/postgres`.
    public static let allCases: [TestServer] =
        more == nil
        ? [.v15, .v16, .v18] : [.v13, .v14, .v17].filter { access($0.bin + "/postgres", X_OK) == 0 }

    /// The oldest and the newest of them, for slow tests; all in `make soak`.
    public static let ends: [TestServer] =
        getenv("TIDEMARK_SOAK") == nil && more == nil ? [.v15, .v18] : allCases

    /// All samples on the first version; on the others in `make test` only those that `isShort` picks.
    public static func samples<Sample>(
        _ all: [Sample], isShort: (Sample) -> Bool, on server: WritableKeyPath<Sample, TestServer>
    ) -> [Sample] {
        let isSoak = getenv("TIDEMARK_SOAK") != nil
        return allCases.enumerated().flatMap { index, version in
            all.filter { index == 0 || isSoak || isShort($0) }.map {
                var sample = $0
                sample[keyPath: server] = version
                return sample
            }
        }
    }

    private static let more = getenv("TIDEMARK_MORE_POSTGRES").map { String(cString: $0) }

    public var description: String { "PostgreSQL \(rawValue)" }

    /// Where `initdb`, `postgres` and the others are. 15 comes from Debian; 16 and 18 where `Tests/prepare` puts them.
    public var bin: String {
        if self == .v15 { return "/usr/lib/postgresql/15/bin" }
        if ![.v16, .v18].contains(self), let more = TestServer.more { return "\(more)/\(rawValue)/bin" }
        let root = getenv("TIDEMARK_TEST_POSTGRES").map { String(cString: $0) } ?? "/var/tmp/tidemark-postgres"
        return "\(root)/\(rawValue)/bin"
    }

    /// SQL that begins a backup at once, in a session of its own…
    public func startBackup(_ label: String) -> String {
        rawValue >= 15 ? "pg_backup_start('\(label)', true)" : "pg_start_backup('\(label)', true, false)"
    }

    /// …and that ends it, once its WAL is archived or before: a row with `lsn` and `labelfile`.
    public func stopBackup(waiting: Bool) -> String {
        rawValue >= 15 ? "pg_backup_stop(\(waiting))" : "pg_stop_backup(false, \(waiting))"
    }

    /// Fails, never skips, when the version is missing: a skipped test would look like a pass.
    public func require() throws {
        guard access(bin + "/postgres", X_OK) == 0 else {
            throw Problem("PostgreSQL \(rawValue) is not installed in \(bin)", hint: "Run Tests/prepare.")
        }
    }
}

/// PostgreSQL doesn't run as root; any other user of the tests runs the servers. The call is added to the test's
/// record.
@discardableResult
public func runAsServerUser(
    _ program: String, _ arguments: [String], environment: [String: String] = [:], expectSuccess: Bool = true
) throws -> Finished {
    var variables = environment.map { "\($0)=\($1)" }.sorted()
    let record = TestRecord.current
    // The default is a minute.
    if program.hasSuffix("/pg_ctl") { variables.append("PGCTLTIMEOUT=300") }
    if program.hasSuffix("/pg_ctl"), let place = arguments.firstIndex(of: "-D"), place + 1 < arguments.count {
        let data = arguments[place + 1]
        if let log = arguments.firstIndex(of: "-l"), log + 1 < arguments.count {
            serverLogs.withLock { $0[data] = arguments[log + 1] }
        }
        // It may be removed afterwards.
        if arguments.contains("stop") {
            for log in [serverLogs.withLock { $0[data] } ?? "", data + "/tidemark-recovery.log"] {
                record.add(logFile: log)
            }
        }
    }
    let offers = try Offers.newFile()
    variables.append("TIDEMARK_OFFERS=\(offers)")
    Offers.execute([program] + arguments)
    let begun = ContinuousClock.now
    let finished =
        geteuid() == 0
        ? try run("/usr/sbin/runuser", ["-u", "postgres", "--", "/usr/bin/env"] + variables + [program] + arguments)
        : try run("/usr/bin/env", variables + [program] + arguments)
    record.add(program, arguments, environment: environment, finished, took: ContinuousClock.now - begun)
    Offers.note(offers, said: finished.output + finished.errors)
    if program.hasSuffix("/tidemark") || program.hasSuffix("/tidemark-main"), let command = arguments.first,
        let option = try NamedOptions.misplaced(in: finished.errors, of: command)
    {
        throw Problem("tidemark \(arguments) names \(option), which it does not have:\n\(finished.errors)")
    }
    if expectSuccess, finished.ending != .exited(0) {
        throw Problem("\(program) \(arguments): \(finished.ending)\n\(finished.errors)\(finished.output)")
    }
    return finished
}

/// A throw-away PostgreSQL cluster on a socket of its own, stopped and removed with the object.
public final class TestCluster: Sendable {
    public let server: TestServer
    /// Holds `data`, the socket and the server's log; open to everybody.
    public let directory: String
    public var data: String { directory + "/data" }
    public var logFile: String { directory + "/log" }
    private let record = TestRecord.current
    public var conninfo: String { "host=\(directory) port=5432 user=postgres dbname=postgres" }

    /// - Parameters:
    ///   - settings: lines for postgresql.conf; values in its notation, quotes included.
    ///   - initdb: further arguments, for example `["--wal-segsize=1"]` or `["--data-checksums"]`.
    public init(
        _ server: TestServer = .v15, settings: [String: String] = [:], initdb: [String] = [],
        in place: String = TestPlace.directory, start: Bool = true
    ) throws {
        try server.require()
        self.server = server
        directory = try TestPlace.make("cluster", in: place)
        try ClusterTemplate.make(server, initdb, at: directory + "/data")
        // What the server does on a timer would make a test depend on the machine's speed.
        var all = [
            "autovacuum": "off", "checkpoint_timeout": "1h",
            "listen_addresses": "''", "unix_socket_directories": "'\(directory)'", "fsync": "off",
            "wal_level": "replica", "max_wal_senders": "3", "shared_buffers": "32MB", "log_line_prefix": "'%m [%p] '",
        ]
        all.merge(settings) { $1 }
        try append(to: "postgresql.conf", all.map { "\($0) = \($1)" }.sorted())
        if start { try self.start() }
    }

    deinit {
        for log in [logFile, data + "/tidemark-recovery.log"] { record.add(logFile: log) }
        try? stop(mode: "immediate")
        try? Files.removeTree(directory)
    }

    /// Adds lines to a file of the data directory, as the server's user.
    public func append(to file: String, _ lines: [String]) throws {
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "printf '%s\\n' \"$1\" >> \"$2\"", "sh", lines.joined(separator: "\n"), data + "/" + file,
            ])
    }

    public func start(environment: [String: String] = [:]) throws {
        let finished = try runAsServerUser(
            server.bin + "/pg_ctl", ["-D", data, "-l", logFile, "-w", "-t", "300", "start"],
            environment: environment, expectSuccess: false)
        guard finished.ending == .exited(0) else {
            throw Problem("could not start the test server: \((try? Files.readText(logFile)) ?? finished.errors)")
        }
    }

    public func stop(mode: String = "fast") throws {
        guard access(data + "/postmaster.pid", F_OK) == 0 else { return }
        try runAsServerUser(server.bin + "/pg_ctl", ["-D", data, "-m", mode, "-w", "-t", "300", "stop"])
    }

    public func restart() throws {
        try stop()
        try start()
    }

    /// Runs SQL through psql, stopping at the first error; rows as lines, columns separated by `|`, without the last
    /// newline.
    @discardableResult
    public func psql(_ sql: String, database: String = "postgres") throws -> String {
        let finished = try runAsServerUser(
            server.bin + "/psql",
            ["-h", directory, "-U", "postgres", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql])
        return String(finished.output.drop { $0 == "\n" }.reversed().drop { $0 == "\n" }.reversed())
    }

    /// pgbench against this cluster.
    @discardableResult
    public func pgbench(_ arguments: [String], database: String = "postgres") throws -> Finished {
        // The wheel's pgbench serves as well as Debian's.
        try runAsServerUser(
            TestServer.v15.bin + "/pgbench", ["-h", directory, "-U", "postgres", "-n"] + arguments + [database])
    }

    /// Waits until every finished file is archived, and the archiver has done all its work for it: its command has
    /// ended, and its statistics show it.
    public func waitForArchiver() throws {
        try wait(seconds: 900, for: "the archiver to have nothing to do") {
            try psql(
                """
                set statement_timeout = 0;
                select not exists (select from pg_ls_archive_statusdir() where name like '%.ready')
                and not exists (select from pg_stat_activity
                    where backend_type = 'archiver' and wait_event is distinct from 'ArchiverMain')
                """) == "t"
        }
    }

    /// As the function `wait`; throws with the server's log when the condition doesn't become true.
    public func wait(seconds: Int = 300, for what: String, _ condition: () throws -> Bool) throws {
        do { try Support.wait(seconds: seconds, for: what, condition) } catch let problem as Problem {
            let log = ((try? Files.readText(logFile)) ?? "").split(separator: "\n").suffix(20)
            throw Problem(problem.message, detail: log.joined(separator: "\n"))
        }
    }
}

/// Waits until `condition` is true. The timeout, at least five minutes, is for conditions that never become true; no
/// machine that is merely busy reaches it.
public func wait(seconds: Int = 300, for what: String, _ condition: () throws -> Bool) throws {
    let end = Clock.monotonic + UInt64(max(300, seconds)) * 1_000_000_000
    while try !condition() {
        guard Clock.monotonic < end else { throw Problem("waited in vain for \(what)") }
        Clock.sleep(milliseconds: 30)
    }
}
