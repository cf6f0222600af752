import Glibc
import Planning
import Platform
import Support
import Testing
import WAL

/// What a recovery refuses, how it is resumed, and how it leaves the server.
@Suite(.serialized) struct RecoveryStepsServerTests {
    private struct Refusal: Sendable, CustomTestStringConvertible {
        let name: String
        let arguments: [String]
        var prepare: @Sendable (TestSite, RecoveredDirectory) throws -> Void = { _, _ in }
        var status: Int32 = 1
        let says: [String]
        var testDescription: String { name }
    }

    @Test func `what cannot work is refused before anything is touched, in words`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.cluster.psql("select pg_create_restore_point('before_release')")
        try site.archiveEverything()
        let wrong = TestServer.v16.bin
        let rows: [Refusal] = [
            Refusal(
                name: "the cluster's own server runs",
                arguments: ["--target", "latest", "--data-directory", site.cluster.data],
                says: ["cannot restore into directory", "A server is running on it", "Stop that server"]),
            Refusal(
                name: "the directory holds something else", arguments: ["--target", "latest"],
                prepare: { site, directory in
                    try runAsServerUser("/bin/sh", ["-c", "mkdir \"$1\"; echo x > \"$1\"/x", "sh", directory.path])
                }, says: ["cannot recover into directory", "it is not a data directory"]),
            Refusal(
                name: "the directory is another copy", arguments: ["--target", "latest"],
                prepare: { site, directory in
                    try runAsServerUser(
                        "/bin/sh", ["-c", "mkdir \"$1\"; echo 15 > \"$1\"/PG_VERSION", "sh", directory.path])
                }, says: ["cannot recover into directory", "It is not empty", "--keep-old"]),
            Refusal(name: "no target", arguments: [], status: 2, says: ["no recovery target", "--target latest"]),
            Refusal(
                name: "two targets", arguments: ["--target", "latest", "--target-xid", "7"], status: 2,
                says: ["exclude each other"]),
            Refusal(
                name: "nonsense for a time", arguments: ["--target-time", "yesterday"], status: 2,
                says: ["is not a date and time"]),
            Refusal(
                name: "too late", arguments: ["--target-time", "2099-01-01 00:00:00+00"], status: 4,
                says: ["cannot reach time 2099-01-01", "before the target", "--target latest"]),
            Refusal(
                name: "too early", arguments: ["--target-time", "2001-01-01 00:00:00+00"], status: 4,
                says: ["cannot reach time 2001-01-01", "oldest usable backup", "--target immediate --backup"]),
            Refusal(
                name: "a restore point's name with a slip", arguments: ["--target-name", "before_relaese"], status: 4,
                says: ["\"before_release\" at ", "Reachable: --target-name before_release"]),
            Refusal(
                name: "nobody to ask", arguments: ["--target", "latest"],
                says: ["cannot ask for confirmation", "Add --yes"]),
            Refusal(
                name: "nothing to resume", arguments: ["--resume"], says: ["was interrupted", "--data-directory"]),
            Refusal(
                name: "programs of another version",
                arguments: ["--target", "latest", "--yes", "--start", "--bin-directory", wrong],
                says: ["cannot run this data directory", "are of PostgreSQL 16"]),
            Refusal(
                name: "another cluster's directory, to be overwritten",
                arguments: ["--target", "latest", "--yes", "--delta", "--start"],
                prepare: { _, directory in
                    let other = try TestCluster(start: false)
                    try runAsServerUser("/bin/cp", ["-a", other.data, directory.path])
                },
                says: ["cannot restore into directory", "It contains something other than this cluster"]),
            Refusal(
                name: "a parent that can't be written",
                arguments: ["--target", "latest", "--yes", "--data-directory", "/proc/x"],
                says: ["/proc"]),
        ]
        for row in rows {
            let directory = try RecoveredDirectory(site)
            try row.prepare(site, directory)
            let own = row.arguments.contains("--data-directory") ? [] : ["--data-directory", directory.path]
            func listing() throws -> String {
                let all = [directory.scratch.path, "-printf", "%P %y %i %m %T@ %C@ %s\\n"]
                return try run("/usr/bin/find", all).output
            }
            let before = try listing()
            let finished = try site.tidemark(["recover"] + row.arguments + own)
            #expect(try listing() == before, "\(row.name)")
            #expect(finished.ending == .exited(row.status), "\(row.name): \(finished.errors)")
            for text in row.says { #expect(finished.errors.contains(text), "\(row.name): \(finished.errors)") }
        }
    }

    @Test func `a recovery that was killed at any moment is resumed`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select n, repeat('x', 500) x from generate_series(1, 60000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("update t set x = repeat('y', 500) where n % 7 = 0")
        let sum = try site.cluster.psql("select md5(string_agg(n || x, ',' order by n)) from t")
        try site.archiveEverything()
        for milliseconds in [60, 250, 900] {
            let directory = try RecoveredDirectory(site)
            let program = try Executables.tidemark()
            // timeout(1) kills tidemark, not the server it may have started.
            let seconds = "\(milliseconds / 1000).\(String(String(1000 + milliseconds % 1000).dropFirst()))"
            try runAsServerUser(
                "/usr/bin/timeout",
                [
                    "-s", "KILL", seconds, program, "recover", "--target", "latest", "--start", "--yes", "--config",
                    site.configuration, "--data-directory", directory.path,
                ], expectSuccess: false)
            let state = site.scratch.file("state/main/recover")
            guard try Files.exists(state), try Files.list(state).contains(where: { $0.hasSuffix(".json") }) else {
                continue
            }
            let resumed = try site.tidemark(["recover", "--resume", "--data-directory", directory.path])
            #expect(resumed.ending == .exited(0), "killed after \(seconds) s: \(resumed.errors)")
            #expect(try directory.psql("select md5(string_agg(n || x, ',' order by n)) from t") == sum)
            #expect(try Files.list(state).filter { $0.hasSuffix(".json") } == [])
        }
    }

    @Test func `the target's action, a standby, and settings of one's own`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.cluster.psql("select pg_create_restore_point('here')")
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()

        // The plan says what the last transaction that will be there and the first that won't changed.
        let plan = try site.tidemark(["plan", "--target-name", "here"], expectSuccess: true)
        #expect(plan.output.ranges(of: ", changed postgres.public.t\n").count == 2, "\(plan.output)")

        // With --exclusive the same transaction is the first that won't.
        let xid = try site.cluster.psql("select xmin from t where n = 2")
        let nowhere = site.scratch.file("nowhere")
        for (option, first) in [([], nil), (["--exclusive"], UInt32(xid))] as [([String], UInt32?)] {
            let stop = try site.tidemark(
                ["recover", "--target-xid", xid, "--dry-run", "--json", "--data-directory", nowhere] + option,
                expectSuccess: true)
            let document = try RecoverAnswer.decode(RecoverAnswer.Plan.self, stop.output)
            #expect(document.firstExcluded?.xid == first, "\(stop.output)")
            #expect((document.lastIncluded?.xid == UInt32(xid)) == (first == nil), "\(stop.output)")
        }

        let paused = try RecoveredDirectory(site)
        var finished = try paused.recover([
            "--target-name", "here", "--target-action", "pause", "--set", "work_mem=9MB",
        ])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        var answer = try RecoverAnswer(finished.output)
        #expect(answer.state == "paused")
        #expect(answer.asPredicted == true)
        #expect(try paused.psql("select count(*) from t") == "1")
        #expect(try paused.psql("show work_mem") == "9MB")
        #expect(try paused.psql("select pg_is_in_recovery()") == "t")
        // Nobody knocked before the server could answer.
        #expect(try !Files.readText(paused.path + "/tidemark-recovery.log").contains("FATAL"))

        let down = try RecoveredDirectory(site)
        finished = try down.recover(["--target-name", "here", "--target-action", "shutdown"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        answer = try RecoverAnswer(finished.output)
        #expect(answer.state == "shut_down")
        #expect(try !Files.exists(down.path + "/postmaster.pid"))

        // The commands that are offered work, whatever the directory and the configuration file are called.
        let scratch = try Scratch()
        let own = scratch.file("my own.conf")
        try createDurably(own, bytes: Array("work_mem = 7MB\n".utf8), mode: 0o644)
        for (name, words, offer) in [
            ("it's a copy", [], "recover to the target: "),
            ("another copy", ["--start", "--target-action", "shutdown"], "accept writes: "),
            ("configured", ["--set", "config_file=\(own)"], "recover to the target: "),
        ] {
            let directory = scratch.file(name)
            finished = try site.tidemark(
                ["recover", "--target-name", "here", "--yes", "--data-directory", directory] + words)
            try #require(finished.ending == .exited(0), "\(finished.errors)")
            let command = try #require(
                finished.output.split(separator: "\n").compactMap { $0.split(separator: offer).last }
                    .first { $0.contains("/pg_ctl ") }, "\(finished.output)")
            let pgControl = "\(site.cluster.server.bin)/pg_ctl"
            defer { _ = try? runAsServerUser(pgControl, ["-D", directory, "-m", "immediate", "-t", "300", "stop"]) }
            let started = try runAsServerUser(
                "/bin/sh",
                ["-c", "\(command) -w -t 300 -l \"$1\"", "sh", scratch.file("log")], expectSuccess: false)
            #expect(started.ending == .exited(0), "\(command): \((try? Files.readText(scratch.file("log"))) ?? "")")
            try wait(for: "the copy to take writes") {
                try runAsServerUser(
                    site.cluster.server.bin + "/psql",
                    [
                        "-h", directory, "-U", "postgres", "-d", "postgres", "-XAtc",
                        "select pg_is_in_recovery() or count(*) <> 1 from t",
                    ],
                    expectSuccess: false
                ).output == "f\n"
            }
        }

        let standby = try RecoveredDirectory(site)
        finished = try standby.recover(["--target", "latest", "--standby"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try RecoverAnswer(finished.output).state == "standby")
        try site.cluster.psql("insert into t values (3)")
        try site.archiveEverything()
        try site.cluster.wait(for: "the standby to follow") { try standby.psql("select count(*) from t") == "3" }
    }
}
