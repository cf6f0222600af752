import Platform
import Support
import Testing

/// Histories with several forks, and gaps at them, made by servers.
@Suite(.serialized) struct ForkServerTests {
    private struct Segments: Decodable {
        struct Gap: Decodable {
            let firstMissing, lastMissing: String?
            let atServer: Bool
            let remedy: [String]?
        }
        let gaps: [Gap]
    }

    /// Every command that reports gaps, and its exit status when there is one after the newest backup.
    private static let commands: [(line: [String], status: Int32)] = [
        (["verify", "--wal"], 3), (["verify"], 3), (["segments"], 3), (["window"], 3), (["list"], 3), (["status"], 3),
        (["events"], 3), (["events", "--kind", "drop"], 3), (["around", "--target-time", "2100-01-01 00:00 UTC"], 3),
        (["report"], 0), (["report", "--html", "-"], 0),
        (["check", "--only", "wal_continuity"], 3), (["check", "--only", "recovery_window"], 3),
        (["check", "--only", "rpo"], 3), (["check", "--only", "verify_wal"], 3), (["plan", "--target", "latest"], 4),
    ]

    @Test(arguments: TestServer.allCases)
    func `every command reports the gap before a fork, and what fills it`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int); create table gone (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        let standby = try RecoveredDirectory(site)
        let push = "\(try Executables.tidemark()) archive-push --config \(site.configuration) --cluster main %p"
        let made = try standby.recover([
            "--target", "latest", "--standby", "--set", "archive_mode=on", "--set", "archive_command=\(push)",
            "--set", "primary_conninfo=\(site.cluster.conninfo)", "--set", "wal_keep_size=64MB",
        ])
        try #require(made.ending == .exited(0), "\(made.errors)")
        try site.cluster.psql("insert into t values (1)")
        try site.archiveEverything()
        try site.cluster.alterSystem("archive_command", "false")
        var lost: [String] = []
        for n in 2...3 {
            try site.cluster.psql("insert into t values (\(n))")
            lost.append(try site.cluster.psql("select pg_walfile_name(pg_switch_wal())"))
        }
        try site.cluster.psql("insert into t values (4)")
        try site.cluster.wait(for: "the standby to have all") {
            try standby.psql("select count(*) from t") == "4"
        }
        try site.cluster.stop(mode: "immediate")
        #expect(try standby.psql("select pg_promote(true, 600)") == "t")
        _ = try standby.psql("insert into t values (5)")
        _ = try standby.psql("drop table gone")
        _ = try standby.psql("select pg_switch_wal()")
        try site.cluster.wait(for: "the new primary to archive") {
            try standby.psql("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'") == "0"
        }

        // From now on `cluster` is the new primary.
        let configuration = site.scratch.file("standby.conf")
        let text = """
            repository = '\(site.repository)'
            state_directory = '\(site.scratch.file("standby-state"))'
            [cluster main]
            data_directory = '\(standby.path)'
            conninfo = 'host=\(standby.path) user=postgres dbname=postgres'
            bin_directory = '\(server.bin)'

            """
        try createDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
        func tell(_ line: [String]) throws -> Finished { try site.tidemark(line + ["--config", configuration]) }
        for (line, status) in Self.commands {
            let told = try tell(line)
            let words = (told.output + told.errors).replacing("&quot;", with: "\"")
            #expect(told.ending == .exited(status), "\(line): \(words)")
            #expect(words.contains("\"\(lost[0])\" to \"\(lost[1])\""), "\(line): \(words)")
            #expect(!words.contains("no usable backup") && !words.contains("There are no gaps"), "\(line): \(words)")
        }
        let status = try tell(["status"]).output
        #expect(status.contains("but not to now") && !status.contains("I would lose      nothing"), "\(status)")

        let missing = "segments \"\(lost[0])\" to \"\(lost[1])\" are missing"
        #expect(try tell(["events"]).output.contains("    cannot be reached: \(missing)\n"))
        #expect(try tell(["window"]).output.contains(" cannot be reached: \(missing).\n"))
        let around = try tell(["around", "--target-time", "2100-01-01 00:00 UTC"]).output
        #expect(around.contains("postgres.public.t\n gap "), "\(around)")

        let gaps = try RecoverAnswer.decode(Segments.self, tell(["segments", "--json"]).output).gaps
        #expect(gaps.map(\.firstMissing) == [lost[0]] && gaps.map(\.lastMissing) == [lost[1]])
        let remedy = try #require(gaps.first?.remedy)
        #expect(remedy.count == 2)
        #expect(try tell(["check"]).output.contains(remedy[0]))
        for command in remedy { try runAsServerUser("/bin/sh", ["-c", "cd / && \(command)"]) }
        for (line, _) in Self.commands where line != ["status"] {
            let told = try tell(line)
            #expect(told.ending == .exited(0), "\(line): \(told.output)\(told.errors)")
        }
        #expect(try tell(["segments"]).output.contains("There are no gaps."))
        #expect(try tell(["events"]).output.contains("    before it: tidemark recover "))
        #expect(try tell(["window"]).output.contains("Any moment from "))
    }

    @Test(arguments: TestServer.allCases)
    func `forks in consecutive segments are archived, verified and recovered along`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.cluster.psql("select pg_create_restore_point('p1')")
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()
        for (point, before, after) in [("p1", 3, 4), ("p2", 5, 6)] {
            try site.cluster.stop()
            let recovered = try site.tidemark(["recover", "--target-name", point, "--start", "--yes"])
            try #require(recovered.ending == .exited(0), "\(recovered.errors)")
            try site.cluster.psql("insert into t values (\(before))")
            try site.archiveEverything()
            guard point == "p1" else { continue }
            try site.cluster.psql("select pg_create_restore_point('p2')")
            try site.cluster.psql("insert into t values (\(after))")
            try site.archiveEverything()
        }
        let history = try Files.readText(site.cluster.data + "/pg_wal/00000003.history")
        #expect(history.split(separator: "\n").count == 2, "\(history)")
        for line in [["verify", "--wal"], ["segments"], ["window"], ["check", "--only", "wal_continuity"]] {
            let told = try site.tidemark(line)
            #expect(told.ending == .exited(0), "\(line): \(told.output)\(told.errors)")
        }
        let directory = try RecoveredDirectory(site)
        let recovered = try directory.recover(["--target", "latest"])
        try #require(recovered.ending == .exited(0), "\(recovered.errors)")
        #expect(try directory.psql("select string_agg(n::text, ' ' order by n) from t") == "1 3 5")
    }

    @Test func `every command reports a missing or damaged history file, and what brings it back`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.stop()
        try site.tidemark(["recover", "--target", "latest", "--start", "--yes"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1)")
        try site.archiveEverything()
        let object = try #require(
            run("/usr/bin/find", [site.repository, "-name", "00000002.history.zst"]).output.split(separator: "\n").first
        )
        for (state, harm) in [
            ("missing", "rm -f \"$0\""), ("damaged", "head -c 60 \"$0\" >\"$0.cut\"; mv -f \"$0.cut\" \"$0\""),
        ] {
            try runAsServerUser("/bin/sh", ["-c", harm, String(object)])
            for (line, status, word) in [
                (["verify", "--wal"], Int32(3), state), (["segments"], 3, state), (["window"], 3, state),
                (["list"], 3, state), (["check", "--only", "wal_continuity"], 3, state), (["events"], 3, state),
                (["events", "--kind", "drop-tablespace", "--json"], 3, state),
                (["around", "--target-time", "2030-01-01 00:00:00 UTC"], 3, state),
                (["check", "--only", "recovery_window"], 3, "archive-push"),
                (["check", "--only", "recovery_window"], 3, state), (["check", "--only", "rpo"], 3, state),
                (["status"], 3, "on timeline 2: timeline history file \"00000002.history\" is \(state)"),
                (["plan", "--target", "latest"], 4, "archive-push"),
            ] {
                let told = try site.tidemark(line)
                let words = told.output + told.errors
                #expect(told.ending == .exited(status), "\(line): \(words)")
                #expect(words.contains("00000002.history") && words.contains(word), "\(line): \(words)")
            }
            let check = try site.tidemark(["check", "--only", "wal_continuity"]).output
            let command = try #require(check.split(separator: "store it with: ").last?.split(separator: "  [").first)
            try runAsServerUser("/bin/sh", ["-c", "cd / && \(command)"])
            for line in [
                ["verify", "--wal"], ["segments"], ["window"], ["list"], ["check", "--only", "wal_continuity"],
                ["check", "--only", "recovery_window"], ["plan", "--target", "latest"], ["events"],
                ["around", "--target-time", "2030-01-01 00:00:00 UTC"],
            ] {
                let told = try site.tidemark(line)
                #expect(told.ending == .exited(0), "\(line): \(told.output)\(told.errors)")
            }
        }
    }

    /// A copy that was promoted without archiving has announced its timeline nowhere.
    @Test func `a plan names segments under the number that the recovered server will take`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let one = try #require(
            run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).max())
        #expect(try !site.tidemark(["plan", "--target", "latest"], expectSuccess: true).output.contains("number 2"))
        let folder = Files.parent(Files.parent(Files.parent(one))) + "/00000002/0000000200000000"
        let taken = "\(folder)/0000000200000000000000FF.zst"
        try runAsServerUser("/bin/sh", ["-c", "mkdir -p '\(folder)' && cp '\(one)' '\(taken)'"])
        try site.cluster.stop()
        let line = ["plan", "--target", "latest", "--target-timeline", "1"]
        let plan = try site.tidemark(line, expectSuccess: true).output
        #expect(plan.contains("The recovered server will take number 2 for its timeline."), "\(plan)")
        let command = try #require(plan.split(separator: "first: tidemark ").last?.split(separator: "\n").first)
        try site.tidemark(command.split(separator: " ").map(String.init) + ["--yes"], expectSuccess: true)
        #expect(try !site.tidemark(["plan", "--target", "latest"], expectSuccess: true).output.contains("number 2"))
    }
}
