import Glibc
import Platform
import Support
import Testing

/// Every wait of a replay has a reported reason and an end.
@Suite(.serialized) struct ReplayWaitServerTests {
    private static func site(_ server: TestServer = .v15) throws -> TestSite {
        let site = try TestSite(server, settings: ["max_connections": "20"], initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }

    /// Restarts the original with more connections and archives the change, which no earlier plan can know.
    private static func raise(_ site: TestSite, to number: Int) -> String {
        let (bin, data, socket) = (site.cluster.server.bin, site.cluster.data, site.cluster.directory)
        return """
            echo "max_connections = \(number)" >>\(data)/postgresql.conf
            \(bin)/pg_ctl -D \(data) -l \(site.cluster.logFile) -w -t 300 -m fast restart >/dev/null
            ask() { \(bin)/psql -h \(socket) -U postgres -d postgres -XAtqc "$1"; }
            ask 'create table later as select 1 n'; ask 'select pg_switch_wal()' >/dev/null
            until [ "$(ask "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'")" = 0 ]; do sleep 0.1; done
            """
    }

    private static let ways: [(name: String, arguments: [String])] = [
        ("promoted", ["recover"]), ("standby", ["recover", "--standby"]), ("drill", ["drill"]),
    ]

    @Test(arguments: [TestServer.v15, .v18], ways.indices)
    func `settings that are raised after the plan was made hold up no replay`(_ server: TestServer, _ way: Int) throws {
        let (name, words) = Self.ways[way]
        let site = try Self.site(server)
        let copy = try RecoveredDirectory(site)
        let arguments =
            name == "drill"
            ? words + ["--drill-sql", "select count(*) = 1 from later"] + (server == .v18 ? ["--json"] : [])
            : words + ["--target", "latest", "--data-directory", copy.path, "--start", "--yes"]
        let finished = try Gate(at: "write:60").run(
            Executables.tidemark(), arguments, environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile: Self.raise(site, to: 300))
        #expect(finished.ending == .exited(0), "\(finished.errors)\(finished.output)\(copy.log)")
        if name == "drill" {
            let told =
                server == .v18
                ? "\"raised_settings\" : [\n    {\n      \"before\" : 20,\n      \"name\" : \"max_connections\",\n      \"value\" : 300"
                : "the server was started again with max_connections = 300 instead of 20."
            #expect(finished.output.contains(told), "\(finished.output)")
            return
        }
        try wait(for: "the copy to have replayed it") {
            // A standby may have answered before it replayed that change.
            if name == "standby", try copy.psql("show max_connections") == "20" {
                return try copy.psql("select pg_is_wal_replay_paused()") == "t"
            }
            return try copy.psql("select to_regclass('later')") == "later"
        }
        if name != "standby" {
            #expect(try copy.psql("show max_connections") == "300")
            #expect(finished.errors.contains("WAL requires higher settings"), "\(finished.errors)")
            #expect(finished.errors.contains("It requires max_connections = 300, the server has 20."))
        } else {
            #expect(finished.output.contains("Raise max_connections and the like here before"), "\(finished.output)")
        }
    }

    @Test func `a replay paused by a setting of the user's own is reported, and continues with the offered one`()
        throws
    {
        let site = try Self.site()
        let copy = try RecoveredDirectory(site)
        let paused = try Gate(at: "write:60").run(
            Executables.tidemark(),
            [
                "recover", "--target", "latest", "--data-directory", copy.path, "--start", "--yes", "--set",
                "max_connections=50",
            ], environment: ["TIDEMARK_CONFIG": site.configuration], meanwhile: Self.raise(site, to: 300))
        #expect(paused.ending == .exited(1), "\(paused.errors)\(paused.output)")
        #expect(paused.errors.contains("replay has paused: WAL requires higher settings"), "\(paused.errors)")
        let offered = try #require(
            paused.errors.split(separator: "\"").first { $0.hasPrefix("tidemark recover --resume") }, "\(paused.errors)"
        )
        try runAsServerUser(
            site.cluster.server.bin + "/pg_ctl", ["-D", copy.path, "-m", "fast", "-w", "-t", "600", "stop"])
        let resumed = try runAsServerUser(
            "/bin/sh", ["-c", "exec \(try Executables.directory.get())/\(offered)"],
            environment: ["TIDEMARK_CONFIG": site.configuration], expectSuccess: false)
        #expect(resumed.ending == .exited(0), "\(resumed.errors)\(copy.log)")
        #expect(try copy.psql("select count(*) from later") == "1")
    }

    @Test func `a drill that pauses because of a setting of the user's own names it, and leaves nothing`() throws {
        let site = try Self.site()
        let drill = try Gate(at: "write:60").run(
            Executables.tidemark(), ["drill", "--set", "max_connections=50"],
            environment: ["TIDEMARK_CONFIG": site.configuration], meanwhile: Self.raise(site, to: 300))
        #expect(drill.ending == .exited(1), "\(drill.errors)\(drill.output)")
        #expect(drill.errors.contains("It requires max_connections = 300, the server has 50."), "\(drill.errors)")
        #expect(drill.errors.contains("Leave out --set max_connections."), "\(drill.errors)")
        #expect(try Files.listIfPresent(site.scratch.file("state/scratch")) == [])
    }

    @Test func `a standby that has stopped replaying is reported by check`() throws {
        let site = try Self.site()
        let standby = try RecoveredDirectory(site)
        let recovered = try site.tidemark(
            ["recover", "--target", "latest", "--standby", "--data-directory", standby.path, "--start", "--yes"])
        try #require(recovered.ending == .exited(0), "\(recovered)")
        let arguments = [
            "check", "--data-directory", standby.path, "--conninfo",
            "host=\(standby.path) user=postgres dbname=postgres",
        ]
        let before = try site.tidemark(arguments)
        #expect(before.output.contains("A standby answers, PostgreSQL 15"), "\(before)")
        try runAsServerUser("/bin/bash", ["-ec", Self.raise(site, to: 300)])
        try wait(for: "the standby to pause") { try standby.psql("select pg_is_wal_replay_paused()") == "t" }
        let after = try site.tidemark(arguments)
        #expect(after.output.contains("A standby answers, but has stopped replaying."), "\(after)")
        #expect(after.output.contains("It requires max_connections = 300, the server has 20."), "\(after)")
        // What it advises.
        try runAsServerUser(
            "/bin/sh", ["-c", "echo \"max_connections = 300\" >>\(standby.path)/postgresql.auto.conf"])
        try runAsServerUser(
            site.cluster.server.bin + "/pg_ctl",
            ["-D", standby.path, "-l", standby.path + "/log", "-w", "-t", "600", "restart"])
        try wait(for: "the standby to go on") { try standby.psql("select to_regclass('later')") == "later" }
    }

    @Test func `a drill with too low a setting of the user's own is refused`() throws {
        let site = try Self.site()
        let refused = try site.tidemark(["drill", "--set", "max_connections=10"])
        #expect(refused.ending == .exited(1), "\(refused)")
        #expect(refused.errors.contains("cannot recover with max_connections = 10"), "\(refused.errors)")
        #expect(try Files.listIfPresent(site.scratch.file("state/scratch")) == [])
    }

    @Test func `a drill whose replay stands still is ended, and reports what it waited for`() throws {
        let site = try Self.site()
        let drill = try site.tidemark(["drill", "--set", "restore_command=sleep 100000", "--drill-timeout", "60s"])
        #expect(drill.ending == .exited(1), "\(drill)")
        #expect(drill.errors.contains("replay made no progress for drill_timeout (1 min 0 s)"), "\(drill.errors)")
        #expect(drill.errors.contains("The server waits for its restore_command: "), "\(drill.errors)")
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
        #expect(try site.tidemark(["history", "--json"]).output.contains("made no progress"))
    }

    @Test(
        arguments: [
            (["drill"], "read:/pack/"),
            (["recover-table", "-t", "postgres.public.t", "--target", "latest", "--into-table"], "read:/pack/"),
            (["recover-table", "-t", "postgres.public.t", "--target", "latest", "--into-table"], "open:/ready/"),
        ])
    func `a restore or a replay that waits for storage is ended`(_ words: [String], _ call: String) throws {
        let site = try Self.site()
        // Once it is held at the gate, minutes pass at once.
        let clock = site.scratch.file("fast-clock.so")
        let compiled = try run(
            "cc", ["-O2", "-shared", "-fPIC", "-o", clock, Files.parent(#filePath) + "/fast-clock.c"])
        try #require(compiled.ending == .exited(0), "\(compiled.errors)")
        chmod(clock, 0o755)
        let ended = try Gate(at: call).run(
            Executables.tidemark(), words + ["--drill-timeout", "2min"],
            environment: [
                "TIDEMARK_CONFIG": site.configuration, "LD_PRELOAD": clock,
                "CLOCK_FAST": site.scratch.file("stands"),
            ], meanwhile: "touch $CLOCK_FAST; wait $process; exit")
        #expect(ended.ending == .exited(1), "\(ended)")
        #expect(!ended.errors.contains("before it came to the gate"), "\(ended.errors)")
        #expect(ended.errors.contains("made no progress for drill_timeout (2 min 0 s)"), "\(ended.errors)")
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
        #expect(try site.tidemark(["history", "--json"]).output.contains("made no progress"))
        #expect(try site.cluster.psql("select count(*) from pg_class where relname ~ '^t_'") == "0")
    }

    @Test func `what a recovery waits for is shown until it comes`() throws {
        let site = try Self.site()
        let copy = try RecoveredDirectory(site)
        let gate = try Gate(at: "never")
        let said = site.scratch.file("said")
        let command = try gate.restoreCommand(
            "\(try Executables.tidemark()) archive-get --config \(site.configuration) %f %p", after: 0)
        let worker = try Worker {
            _ = try? runAsServerUser(
                "/bin/bash",
                [
                    "-c", "\"$@\" >/dev/null 2>\(said); echo $? >\(said).status", "bash", Executables.tidemark(),
                    "recover",
                    "--target", "latest", "--data-directory", copy.path, "--start", "--yes", "--set",
                    "restore_command=\(command)",
                ], environment: ["TIDEMARK_CONFIG": site.configuration])
        }
        try wait(for: "the reason") {
            try Files.exists(said) && Files.readText(said).contains("The server waits for its restore_command: ")
        }
        try gate.open()
        worker.join()
        let text = try Files.readText(said)
        #expect(try Files.readText(said + ".status") == "0\n", "\(text)\(copy.log)")
    }

    @Test func `a recovery that pauses is recognised, though its role did not exist yet`() throws {
        let site = try Self.site()
        try site.cluster.psql("select pg_create_restore_point('there')")
        try site.cluster.psql("create role late login")
        try site.archiveEverything()
        let copy = try RecoveredDirectory(site)
        let finished = try site.tidemark([
            "recover", "--target-name", "there", "--target-action", "pause", "--data-directory", copy.path, "--start",
            "--yes", "--conninfo", site.cluster.conninfo.replacing("user=postgres", with: "user=late"),
        ])
        #expect(finished.ending == .exited(0), "\(finished)")
        #expect(finished.output.contains("answers queries and waits"), "\(finished)")
    }
}
