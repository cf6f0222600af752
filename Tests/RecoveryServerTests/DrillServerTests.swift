import Glibc
import Platform
import Support
import Testing

@Suite(.serialized) struct DrillServerTests {
    @Test func `a drill recovers, checks, records and leaves nothing behind`() throws {
        let site = try TestSite(
            initdb: ["--wal-segsize=1", "--data-checksums"],
            configuration: [
                "drill_sql = 'select count(*) > 5 from t; select true, n > 0 from t where n = 1'",
                "drill_min_rows = 'public.t=10'",
            ])
        try site.cluster.psql("create table t (n int primary key)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t select generate_series(1, 10)")
        try site.archiveEverything()
        let passed = try site.tidemark(["drill"])
        #expect(passed.ending == .exited(0), "\(passed.errors)\(passed.output)")
        #expect(passed.output.contains("The drill passed."))
        #expect(passed.output.contains("pg_amcheck checked every database."))
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
        let incarnation = try Files.list(site.repository + "/main")[0]
        let records = try Files.list("\(site.repository)/main/\(incarnation)/recovery")
        #expect(records.count == 1)
        #expect(records[0].contains("-drill-"))
        #expect(try site.tidemark(["history", "--json"]).output.contains("\"seconds\""))
        // The living server has noticed nothing.
        #expect(try site.cluster.psql("show archive_mode") == "on")

        // A drill whose target lies before the rows finds them missing and runs the failure command.
        let told = site.scratch.file("told")
        let alarm = "[notify]\nevents = 'drill_failure'\ncommand = 'cat >> \(told)'\n"
        try replaceDurably(
            site.configuration, bytes: Array((try Files.readText(site.configuration) + alarm).utf8), mode: 0o644)
        let empty = try site.tidemark(["drill", "--target", "immediate"])
        #expect(empty.ending == .exited(3), "\(empty.errors)")
        #expect(empty.output.contains("PROBLEM: Query \"select count(*) > 5 from t\" returned f instead of true."))
        #expect(empty.output.contains("PROBLEM: Table public.t has 0 rows; at least 10 were expected."))
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
        try site.cluster.wait(for: "the alarm") {
            try Files.exists(told) && Files.readText(told).contains("\"event\":\"drill_failure\"")
        }

        // Interrupted in the middle of its restore, it leaves nothing either.
        let ended = try Gate(at: "write:60").run(
            Executables.tidemark(), ["drill", "--config", site.configuration],
            meanwhile: "kill -s TERM $process; wait $process; exit")
        #expect(ended.ending == .exited(130), "\(ended.errors)")
        #expect(try Files.listIfPresent(site.scratch.file("state/scratch")) == [])

        let random = try site.tidemark(["drill", "--random"])
        #expect([.exited(0), .exited(3)].contains(random.ending), "\(random.errors)")
    }

    @Test(
        arguments: [
            ("select pg_sleep(100000) is null", "was waiting for Timeout: PgSleep"),
            (
                "select count(*) > 0 from (select generate_series(1, 1000000000000000) n) s where n < 0",
                "Query \"select count"
            ),
        ])
    func `a drill's check that hangs is ended, with its wait in the report`(_ query: String, _ says: String) throws {
        let site = try Self.site.get()
        let arguments = ["drill", "--drill-sql", query, "--drill-timeout", "60s"]
        let drill = try site.tidemark(arguments)
        #expect(drill.ending == .exited(3), "\(drill.errors)")
        let problem = "PROBLEM: The checks were ended: they took longer than drill_timeout (1 min 0 s)."
        #expect(drill.output.contains(problem), "\(drill.output)")
        #expect(drill.output.contains(says), "\(drill.output)")
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
        #expect(try site.tidemark(["history", "--json"]).output.contains("longer than drill_timeout"))
    }

    /// A server whose processes are all stopped answers nobody.
    @Test func `a drill's server that hangs is ended`() throws {
        let site = try Self.site.get()
        let stop = site.scratch.file("stop")
        // A temporary file of its server shows that the query is running.
        let gate = "select (select count(*) from generate_series(1, 300000)) > 0 and pg_sleep(100000) is null"
        let worker = try Worker {
            _ = try? wait(for: "the drill's query") {
                let clusters = try Files.listIfPresent(site.scratch.file("state/scratch"))
                    .map { site.scratch.file("state/scratch/\($0)/data") }
                guard
                    let data = clusters.first(where: {
                        (try? Files.listIfPresent($0 + "/base/pgsql_tmp").isEmpty) == false
                    })
                else { return false }
                let postmaster = try Files.readText(data + "/postmaster.pid").split(separator: "\n")[0]
                guard let process = pid_t(postmaster) else { return false }
                kill(process, SIGSTOP)
                try createDurably(stop, bytes: [])
                return true
            }
        }
        let drill = try site.tidemark(["drill", "--drill-sql", gate, "--drill-timeout", "60s"])
        worker.join()
        #expect(try Files.exists(stop))
        #expect(drill.ending == .exited(3), "\(drill.errors)")
        #expect(drill.output.contains("The drill's server was ended."), "\(drill.output)")
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
    }

    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }

    @Test func `a drill without space is refused before it begins`() throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let scratch = try Scratch()
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", "size=8m,mode=0777", "tidemark-test", scratch.path])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer { _ = try? run("/bin/umount", ["-l", scratch.path]) }
        let refused = try site.tidemark(["drill", "--scratch-directory", scratch.path])
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("not enough space for a drill in \"\(scratch.path)\""), "\(refused.errors)")
        #expect(refused.errors.contains(" kB are free."), "\(refused.errors)")
        #expect(try Files.list(scratch.path) == [])
    }

    /// What a prepared transaction has locked, that a drill needs.
    @Test(
        arguments: [
            "grant connect on database postgres to clerk", "grant pg_monitor to clerk",
            "alter role postgres set jit = off",
            "alter database postgres connection limit 5", "grant usage on schema public to clerk",
            "lock table pg_authid in share mode",
        ], [TestServer.v15, .v18])
    func `no lock of a prepared transaction holds up a drill`(_ statement: String, server: TestServer) throws {
        let site = try TestSite(
            server, settings: ["max_prepared_transactions": "9"], initdb: ["--wal-segsize=1"],
            configuration: ["drill_sql = 'select count(*) = 2 from t'", "drill_timeout = 2min"])
        try site.cluster.psql("create role clerk; create table t as select generate_series(1, 2) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("begin; \(statement); prepare transaction 'one'")
        try site.archiveEverything()
        let drill = try site.tidemark(["drill"])
        #expect(drill.ending == .exited(0), "\(drill.errors)\(drill.output)")
        #expect(drill.output.contains("Prepared transactions that were pending, and rolled back for the checks: 1."))
        try site.cluster.psql("rollback prepared 'one'")
    }

    @Test func `a pending prepared transaction is reported, and holds up no drill`() throws {
        let site = try TestSite(
            settings: ["max_prepared_transactions": "9"], initdb: ["--wal-segsize=1"],
            configuration: ["drill_sql = 'select count(*) = 2 from t'"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("create table t as select generate_series(1, 2) n")
        try site.cluster.psql("begin; drop table t; prepare transaction 'it''s mine'")
        try site.archiveEverything()
        let drill = try site.tidemark(["drill"])
        #expect(drill.ending == .exited(0), "\(drill.errors)\(drill.output)")
        #expect(drill.output.contains("Prepared transactions that were pending, and rolled back for the checks: 1."))
        let copy = try RecoveredDirectory(site)
        let finished = try site.tidemark(
            ["recover", "--target", "latest", "--data-directory", copy.path, "--start", "--yes"])
        let sentence = "Prepared transaction 'it''s mine' in database \"postgres\" is pending and holds its locks"
        #expect(finished.output.contains(sentence), "\(finished.output)\(finished.errors)")
        try copy.psql("rollback prepared 'it''s mine'")
        #expect(try copy.psql("select count(*) from t") == "2")
        #expect(try site.cluster.psql("select gid from pg_prepared_xacts") == "it's mine")
        try site.cluster.psql("rollback prepared 'it''s mine'")
    }

    /// No list of settings covers what the database's own functions do; the kernel must keep them from writing outside.
    @Test func `a scratch cluster can't write outside of its directory`() throws {
        try #require(Confinement.isPossible, "this kernel has no Landlock")
        let scratch = try Scratch()
        let (file, named) = (scratch.file("written"), scratch.file("named"))
        try runAsServerUser("/bin/sh", ["-c", "echo old >\"$1\"", "sh", named])
        let listener = try Listener()
        defer { withExtendedLifetime(listener) {} }
        // Files prefetched by other recoveries don't belong to the drill.
        let spool = "\(scratch.path)/state/main/spool"
        try runAsServerUser("/bin/mkdir", ["-p", spool])
        let attempts = [
            ("copy t to ''\(spool)/segment''", false),
            ("copy t to ''\(file)''", false), ("copy t to ''\(named)''", false),
            ("copy t to program ''echo new >\(file)''", false), ("copy t from program ''echo 1''", true),
            ("copy t from program ''rm \(named)''", false), ("copy t to ''/dev/null''", true),
            ("select lo_export(lo_from_bytea(0, ''x''), ''\(file)'')", false),
            (
                "copy t from program ''bash -c \"echo 1 && exec 3<>/dev/tcp/127.0.0.1/\(listener.port)\"''",
                !Confinement.refusesConnections
            ),
        ]
        let queries = attempts.map { "select attempt($a$\($0)$a$) = \($1)" }
        let site = try TestSite(
            initdb: ["--wal-segsize=1"], configuration: ["drill_sql = '\(queries.joined(separator: "; "))'"])
        try site.cluster.psql(
            """
            create function attempt(doing text) returns boolean security definer language plpgsql as $$ begin
                execute doing; return true; exception when others then return false; end $$
            """)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("create table t as select 1 n")
        try site.archiveEverything()
        let drill = try site.tidemark(["drill", "--state-directory", scratch.path + "/state"])
        #expect(drill.ending == .exited(0), "\(drill.errors)\(drill.output)")
        #expect(drill.output.contains("\(attempts.count) checks of your own"))
        #expect(try Files.list(spool) == [])
        #expect(try !Files.exists(file))
        #expect(try Files.readText(named) == "old\n")
        #expect(try Files.listIfPresent(site.scratch.file("state/scratch")) == [])
    }
}

/// A process on this host that takes connections.
private final class Listener {
    let port: UInt16
    private let raw: Int32

    init() throws {
        raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { [raw] in
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                bind(raw, place, length) == 0 && listen(raw, 8) == 0 && getsockname(raw, place, &length) == 0
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        try #require(isListening)
    }

    deinit { close(raw) }
}
