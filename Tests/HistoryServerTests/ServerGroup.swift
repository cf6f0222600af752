import Glibc
import Platform
import Support
import WAL

/// Two or three servers that share one repository, each with a tidemark.conf of its own; stopped and removed with the
/// object.
final class ServerGroup {
    let version: TestServer
    let scratch: Scratch
    private(set) var servers: [Server] = []
    private var steps: [String] = []
    private let settings: [String: String]

    var directory: String { scratch.path }
    var wal: String {
        let main = directory + "/repository/main"
        return main + "/" + ((try? Files.list(main).first) ?? "?") + "/wal"
    }

    /// - Parameter settings: further lines for every server's postgresql.conf.
    init(_ version: TestServer, settings: [String: String] = [:]) throws {
        try version.require()
        self.version = version
        scratch = try Scratch()
        // Like /tmp: no user can replace another's files in it.
        chmod(scratch.path, 0o1777)
        self.settings = [
            "fsync": "off", "shared_buffers": "16MB", "log_line_prefix": "'%m [%p] '", "wal_log_hints": "on",
            "wal_keep_size": "4MB", "max_wal_senders": "6", "hot_standby": "on", "archive_mode": "on",
            "wal_retrieve_retry_interval": "200ms",
            // What the servers do on a timer, or when the machine stalls.
            "autovacuum": "off", "checkpoint_timeout": "1h", "wal_sender_timeout": "10min",
            "wal_receiver_timeout": "10min",
        ].merging(settings) { $1 }
    }

    deinit { for server in servers { server.end() } }

    private func add(_ name: String) throws -> Server {
        let program = try Executables.tidemark()
        let server = Server(
            name, port: 5441 + servers.count, in: directory, version,
            settings: [
                "archive_command": "'\(program) archive-push --config \(directory)/\(name).conf %p'",
                "restore_command": "'\(program) archive-get --config \(directory)/\(name).conf %f %p'",
            ].merging(settings) {
                $1.replacing("NAME", with: name).replacing("DIRECTORY", with: directory)
            })
        servers.append(server)
        try server.configure()
        return server
    }

    /// Creates a cluster and its incarnation in the repository.
    func addPrimary(_ name: String = "a") throws -> Server {
        let server = try add(name)
        try ClusterTemplate.make(version, ["--wal-segsize=1"], at: server.data)
        try server.writeSettings()
        try server.start()
        // 3: it would otherwise set archive_command, which the script replaces.
        let made = try server.tidemark(["init"])
        guard [.exited(0), .exited(3)].contains(made.ending) else { throw Problem("init: \(made.errors)") }
        return server
    }

    /// A primary with an empty table `t (i int)` and a backup.
    func addBackedUpPrimary(_ name: String = "a") throws -> Server {
        let server = try addPrimary(name)
        try server.psql("create table t (i int)")
        try server.tidemark(["backup"], expectSuccess: true)
        return server
    }

    /// The same, and a standby of it that has replayed everything.
    func addBackedUpPair() throws -> (primary: Server, standby: Server) {
        let primary = try addBackedUpPrimary()
        let standby = try addStandby("b", of: primary)
        try catchUp(standby, with: primary)
        return (primary, standby)
    }

    /// Makes a standby of `upstream` with pg_basebackup.
    func addStandby(_ name: String, of upstream: Server, settings: [String: String] = [:]) throws -> Server {
        let server = try add(name)
        server.settings = settings
        try copy(upstream, to: server)
        return server
    }

    /// Promotes a standby that receives and reads nothing of what its primary writes and archives at last.
    ///
    /// - Parameters:
    ///   - write: what the primary writes meanwhile.
    ///   - end: how the primary ends.
    func failOver(
        from primary: Server, to standby: Server, unreceived write: () throws -> Void,
        end: (Server) throws -> Void = { try $0.stop("immediate") }
    ) throws {
        try standby.stop()
        try write()
        try drain(primary)
        try end(primary)
        standby.settings["restore_command"] = "''"
        try standby.follow(nil)
        try standby.start()
        try standby.promote()
    }

    /// Makes a second server of a copied directory, which takes itself for the same primary.
    func addCopy(_ name: String, of original: Server) throws -> Server {
        let server = try add(name)
        try original.stop()
        try original.shell("cp -a '\(original.data)' '\(server.data)'")
        try original.start()
        try server.writeSettings()
        try server.start()
        return server
    }

    /// Makes the server anew as a copy of the upstream, and starts it.
    func copy(_ upstream: Server, to server: Server) throws {
        try server.shell("rm -rf '\(server.data)'")
        try server.tool(
            "pg_basebackup",
            [
                "-h", directory, "-p", "\(upstream.port)", "-U", "postgres", "-D", server.data, "-c", "fast", "-X",
                "stream", "--no-sync",
            ])
        try server.follow(upstream)
        try server.start()
    }

    /// Records the next step, for the report of a failure.
    func step(_ words: String) {
        steps.append("\(Moment(microseconds: Clock.now)) \(words)")
        if getenv("TIDEMARK_TEST_STEPS") != nil { print(steps.last!) }
    }

    /// Waits until the standby has replayed all that the primary has written.
    func catchUp(_ standby: Server, with primary: Server) throws {
        let end = try primary.psql("select pg_current_wal_lsn()")
        try wait(for: "\(standby.name) to replay what \(primary.name) wrote up to \(end)") {
            try standby.psql("select pg_last_wal_replay_lsn() >= '\(end)'") == "t"
        }
    }

    /// Waits until nothing is left to be archived. PostgreSQL retries a minute after three failures; a reload shortens
    /// that.
    func drain(_ server: Server) throws {
        var looks = 0
        try wait(for: "the archiver of \(server.name) to have nothing left") {
            looks += 1
            if looks % 40 == 0 { try server.reload() }
            return try server.waiting().isEmpty
        }
    }

    func wait(seconds: Int = 600, for what: String, _ condition: () throws -> Bool) throws {
        let end = Clock.monotonic + UInt64(seconds) * 1_000_000_000
        while Clock.monotonic < end {
            if try condition() { return }
            Clock.sleep(milliseconds: 50)
        }
        throw Problem("waited \(seconds) s in vain for \(what)")
    }

    /// The names of the archived files, without their folders and `.zst`.
    func archived() throws -> [String] {
        try run("/usr/bin/find", [wal, "-name", "*.zst", "-printf", "%f\\n"]).output
            .split(separator: "\n").map { String($0.dropLast(4)) }.sorted()
    }

    /// Runs the test's body; adds the report of all steps to its error.
    func accounted(_ body: () throws -> Void) throws {
        do { try body() } catch {
            throw Problem("\(error)", detail: account())
        }
    }

    /// Everything that is needed to understand a failure.
    func account() -> String {
        var text = "\(version), \(directory)\n== steps\n" + steps.joined(separator: "\n")
        for server in servers {
            text += "\n== server \(server.name), port \(server.port), "
            text += server.isRunning ? "running" : "stopped"
            text += server.upstream.map { ", follows \($0.name)" } ?? ""
            text += "\nwaiting: \((try? server.waiting()) ?? [])\npg_wal:"
            for name in ((try? Files.list(server.data + "/pg_wal")) ?? []).sorted() {
                text += " \(name)"
                if name.hasSuffix(".history") {
                    let lines = (try? Files.readText("\(server.data)/pg_wal/\(name)")) ?? ""
                    text += " (\(lines.split(separator: "\n").joined(separator: "; ")))"
                }
            }
            text += "\n" + server.logTail(60)
        }
        text += "\n== archive\n" + ((try? archived().joined(separator: " ")) ?? "none")
        if let server = servers.first {
            for command in [["segments"], ["plan", "--target", "latest"]] {
                guard let said = try? server.tidemark(command) else { continue }
                text += "\n== tidemark \(command.joined(separator: " ")): \(said.ending)\n\(said.output)\(said.errors)"
            }
        }
        return text
    }
}
