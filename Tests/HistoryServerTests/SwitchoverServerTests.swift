import Glibc
import Platform
import Support
import Testing

/// Files that pairs and trios of servers archive around a switchover or a failover never stop their archivers.
@Suite struct SwitchoverServerTests {
    /// Checks that the archive is complete and reported so, and that a backup succeeds.
    private static func expectSound(_ primary: Server) throws {
        try primary.tidemark(["backup"], expectSuccess: true)
        for command in [["segments"], ["verify", "--wal"], ["plan", "--target", "latest"]] {
            try primary.tidemark(command, expectSuccess: true)
        }
    }

    private static func fill(_ primary: Server, segments: Int) throws {
        for _ in 0..<segments { try primary.psql("insert into t values (2)", "select pg_switch_wal()") }
    }

    /// The segment in which the timeline before the server's own was left, without its timeline.
    private static func switched(_ server: Server, from timeline: String) throws -> String {
        let history = try server.shell("cat \(server.data)/pg_wal/*.history").output
        let line = history.split(separator: "\n").first { $0.hasPrefix("\(timeline)\t") } ?? ""
        let fields = line.split(separator: "\t")
        guard fields.count > 1 else { throw Problem("no history names timeline \(timeline): \(history)") }
        return String(try server.psql("select substr(pg_walfile_name('\(fields[1])'), 9)"))
    }

    @Test(arguments: TestServer.allCases)
    func `after a switchover and back everything is archived`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addPrimary()
            let b = try group.addStandby("b", of: a)
            try a.psql("create table t (i int)")
            try group.catchUp(b, with: a)
            group.step("switch over to b")
            try a.stop()
            try b.promote()
            try a.follow(b)
            try a.start()
            try b.psql("insert into t values (1)")
            try group.catchUp(a, with: b)
            group.step("switch back to a")
            try b.stop()
            try a.promote()
            try b.follow(a)
            try b.start()
            group.step("write until timeline 1's last segment is old enough to be removed")
            let left = "00000001" + (try Self.switched(a, from: "1"))
            try group.wait(for: "\(left) to be archived and removed") {
                try Self.fill(a, segments: 2)
                try a.psql("checkpoint")
                return try !Files.exists("\(a.data)/pg_wal/\(left)")
            }
            try group.drain(a)
            #expect(try group.archived().contains(left))
            try Self.expectSound(a)
        }
    }

    @Test(arguments: TestServer.allCases)
    func `a standby that archives always continues when its upstream is promoted`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addPrimary()
            let b = try group.addStandby("b", of: a)
            let c = try group.addStandby("c", of: b, settings: ["archive_mode": "always"])
            try a.psql("create table t (i int)")
            try group.catchUp(b, with: a)
            try group.catchUp(c, with: a)
            group.step("switch over to b")
            try a.stop()
            try b.promote()
            let left = "00000001" + (try Self.switched(b, from: "1"))
            try Self.fill(b, segments: 3)
            try group.catchUp(c, with: b)
            try group.drain(b)
            try group.wait(for: "\(left) to be handed over by c") {
                try Files.exists("\(c.data)/pg_wal/archive_status/\(left).done")
            }
            try group.drain(c)
            #expect(try group.archived().contains(left))
            try Self.expectSound(b)
        }
    }

    @Test(arguments: TestServer.allCases)
    func `a second failover within one segment archives a second, shorter partial segment`(_ version: TestServer) throws
    {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            let b = try group.addStandby("b", of: a)
            let c = try group.addStandby("c", of: a)
            try a.psql("insert into t values (1)")
            try group.catchUp(c, with: a)
            group.step("stop c for a moment, kill a, promote b, kill b, promote c")
            try c.stop()
            for _ in 0..<50 { try a.psql("insert into t values (2)") }
            try group.catchUp(b, with: a)
            try a.stop("immediate")
            try b.promote()
            let left = "00000001" + (try Self.switched(b, from: "1")) + ".partial"
            try group.wait(for: "\(left) and the history to be archived") {
                try Set(group.archived()).isSuperset(of: [left, "00000002.history"])
            }
            try b.stop("immediate")
            try c.follow(nil)
            try c.start()
            try c.promote()
            try Self.fill(c, segments: 3)
            try group.drain(c)
            try c.tidemark(["backup"], expectSuccess: true)
            try c.tidemark(["plan", "--target", "latest"], expectSuccess: true)
        }
    }

    /// The server that archives the file: a standby that archives always, or one that becomes a primary later.
    @Test(arguments: TestServer.allCases, ["on", "always"])
    func `archiving continues after a segment of which nothing was received`(
        _ version: TestServer, mode: String
    ) throws {
        let group = try ServerGroup(version, settings: ["wal_keep_size": "8MB"])
        try group.accounted {
            let a = try group.addPrimary()
            let b = try group.addStandby("b", of: a)
            let c = try group.addStandby("c", of: a, settings: ["archive_mode": mode])
            try a.psql("create table t (i int)")
            group.step("let c make files for segments to come")
            for _ in 0..<2 {
                try Self.fill(a, segments: 6)
                try a.psql("checkpoint")
                for standby in [b, c] {
                    try group.catchUp(standby, with: a)
                    try standby.psql("checkpoint")
                }
            }
            group.step("kill a right after a switch, and promote b")
            func dieAfterSwitch() throws {
                try Self.fill(a, segments: 1)
                for standby in [b, c] { try group.catchUp(standby, with: a) }
                try group.drain(a)
                try a.stop("immediate")
                for standby in [b, c] {
                    try group.wait(for: "\(standby.name) to have got all that a had sent") {
                        try !standby.isStreaming()
                    }
                }
            }
            try dieAfterSwitch()
            // The last WAL of a may have reached only c, which could not follow b then.
            while try c.received() > b.received() {
                try a.start()
                try dieAfterSwitch()
            }
            let next = try b.psql(
                """
                select '00000001' || substr(name, 9) from pg_ls_waldir() w
                where name ~ '^[0-9A-F]{24}$' order by modification desc limit 1
                """)
            try b.promote()
            try c.follow(b)
            try c.reload()
            var primary = b
            try b.psql("insert into t values (2)")
            try group.catchUp(c, with: b)
            if mode == "on" {
                group.step("switch over to c")
                try b.stop()
                try c.promote()
                primary = c
            }
            let old = try c.shell("ls \(c.data)/pg_wal").output
            for _ in 0..<4 {
                try Self.fill(primary, segments: 4)
                try primary.psql("checkpoint")
                if primary !== c {
                    try group.catchUp(c, with: primary)
                    try c.psql("checkpoint")
                }
            }
            try group.drain(primary)
            try group.drain(c)
            group.step("newest segment of b at the failover: \(next); c's pg_wal then: \(old)")
            try Self.expectSound(primary)
        }
    }

    @Test(arguments: TestServer.allCases)
    func `with both servers gone, the partial segment takes a recovery to the last row`(_ version: TestServer) throws {
        let group = try ServerGroup(version, settings: ["restore_command": "''"])
        try group.accounted {
            let a = try group.addPrimary()
            let b = try group.addStandby("b", of: a)
            try a.psql("create table t (i int)")
            try a.tidemark(["backup"], expectSuccess: true)
            // It has no archive: it must have received what a's checkpoints remove.
            try group.catchUp(b, with: a)
            group.step("let b recycle segments")
            for _ in 0..<4 {
                for _ in 0..<4 {
                    try a.psql("insert into t select generate_series(1, 3000)", "select pg_switch_wal()")
                }
                try a.psql("checkpoint")
                try group.catchUp(b, with: a)
                try b.psql("checkpoint")
            }
            try a.psql("insert into t values (1)", "insert into t values (2)", "insert into t values (3)")
            try group.catchUp(b, with: a)
            // A primary that counts them would log hint bits, which b may receive or not.
            let rows = try b.psql("select count(*) from t")
            try group.drain(a)
            group.step("kill a, promote b, and kill b once it has archived the partial segment")
            try a.stop("immediate")
            try b.promote()
            let left = "00000001" + (try Self.switched(b, from: "1")) + ".partial"
            try group.wait(for: "\(left) to be archived") { try group.archived().contains(left) }
            try b.stop("immediate")
            try Files.rename(b.data, to: b.data + ".gone")
            for timeline in [[], ["--target-timeline", "1"]] {
                let plan = try b.tidemark(["plan", "--target", "latest"] + timeline, expectSuccess: true)
                #expect(plan.output.contains("--target-timeline 1 --use-partial"), "\(plan.output)")
                if !timeline.isEmpty {
                    #expect(plan.output.contains("as the history of timeline 2 says"), "\(plan.output)")
                }
            }
            let copy = RecoveredCopy(group)
            try copy.recover(b, ["--target", "latest", "--target-timeline", "1", "--use-partial"])
            #expect(try copy.psql("select count(*) from t") == rows)
        }
    }

    /// How the old primary ends: the fork lies at a segment's beginning, or within one.
    @Test(arguments: [(TestServer.v15, "fast"), (.v16, "immediate"), (.v18, "immediate")])
    func `a server that dies right after its promotion is recovered in place to its last row`(
        _ version: TestServer, ending: String
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a, settings: ["archive_command": "'false'"])
            try Self.fill(a, segments: 3)
            try a.psql("insert into t values (3)")
            try group.catchUp(b, with: a)
            try group.drain(a)
            group.step("stop a, and promote b, whose last checkpoint stays that of its parent")
            try a.stop(ending)
            let checkpointer = pid_t(
                try b.psql("select pid from pg_stat_activity where backend_type = 'checkpointer'"))
            kill(try #require(checkpointer), SIGSTOP)
            try b.promote()
            for _ in 0..<2 { try b.psql("insert into t values (4)", "select pg_switch_wal()") }
            try b.psql("insert into t values (5)")
            let rows = try b.psql("select count(*) from t")
            group.step("kill b")
            kill(try #require(b.postmaster), SIGKILL)
            kill(try #require(checkpointer), SIGKILL)
            try b.kill()
            b.settings = [:]
            try b.writeSettings()
            let plan = try b.tidemark(["plan", "--target", "latest"], expectSuccess: true)
            #expect(plan.output.contains("all but "), "\(plan.output)")
            try b.tidemark(
                [
                    "recover", "--target", "latest", "--start", "--yes", "--set",
                    "config_file=\(b.serverConfiguration)",
                ], expectSuccess: true)
            #expect(try b.psql("select count(*) from t") == rows)
            try group.drain(b)
            let names = try group.archived()
            #expect(names.contains("00000002.history"), "\(names)")
            #expect(names.count { $0.hasPrefix("00000002") && !$0.hasSuffix(".history") } >= 3, "\(names)")
            try Self.expectSound(b)
        }
    }

    /// Only the history file leads to a timeline.
    @Test(arguments: TestServer.ends)
    func `a server that archives nothing is recovered in place along its own history`(_ server: TestServer) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a, settings: ["archive_mode": "off"])
            try a.psql("insert into t values (1)")
            try group.catchUp(b, with: a)
            try a.stop()
            try b.promote()
            try b.psql("insert into t values (2)", "select pg_switch_wal()", "insert into t values (3)", "checkpoint")
            group.step("beside b, which lives, it is refused, and what is advised works")
            let copy = RecoveredCopy(group)
            let plan = try b.tidemark(["plan", "--target", "latest"])
            #expect(plan.ending == .exited(4), "\(plan.output)")
            let offer = try #require(plan.errors.firstMatch(of: /Store it with "tidemark ([^"]+)"/), "\(plan.errors)")
            try b.tidemark(offer.output.1.split(separator: " ").map(String.init), expectSuccess: true)
            try b.tidemark(["plan", "--target", "latest"], expectSuccess: true)
            try copy.recover(b, ["--target", "latest"])
            group.step("take the history out of the archive again, kill b, and recover in its place")
            try b.shell("rm -f '\(group.wal)'/00000002.history.zst")
            try b.stop("immediate")
            let recovered = try b.tidemark(
                [
                    "recover", "--target", "latest", "--start", "--yes", "--set",
                    "config_file=\(b.serverConfiguration)",
                ], expectSuccess: true)
            #expect(recovered.output.contains("As predicted"), "\(recovered.output)")
            #expect(try b.psql("select string_agg(i::text, ' ' order by i) from t") == "1 2 3")
            #expect(try group.archived().contains("00000002.history"))
        }
    }

    /// A failover changed the cluster's address; the backup's own configuration has the old one.
    @Test(
        arguments: getenv("TIDEMARK_SOAK") == nil
            ? [(TestServer.v15, "promote"), (.v16, "promote"), (.v18, "pause")]
            : TestServer.allCases.flatMap { [($0, "promote"), ($0, "pause")] })
    func `the server that recover asks and names is the one it started`(
        _ server: TestServer, _ action: String
    ) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)", "insert into t values (1)")
            // As for a server with its configuration in the data directory.
            try a.shell("cat '\(a.serverConfiguration)' >>'\(a.data)/postgresql.conf'")
            try a.tidemark(["backup"], expectSuccess: true)
            try a.psql("select pg_create_restore_point('here')", "insert into t values (2)", "select pg_switch_wal()")
            let b = try group.addStandby("b", of: a)
            try group.catchUp(b, with: a)
            try group.drain(a)
            try a.stop()
            try b.promote()
            let sockets = "\(group.directory)/sockets"
            try b.shell("mkdir '\(sockets)'")
            let copy = "\(group.directory)/copy"
            defer { _ = try? b.tool("pg_ctl", ["-D", copy, "-m", "immediate", "stop"], expectSuccess: false) }
            let recovered = try b.tidemark([
                "recover", "--target-name", "here", "--target-action", action, "--data-directory", copy, "--set",
                "unix_socket_directories=\(sockets)", "--start", "--yes",
            ])
            try #require(recovered.ending == .exited(0), "\(recovered.errors)\(recovered.output)")
            #expect(recovered.output.contains("As predicted"), "\(recovered.output)")
            let words = try #require(
                recovered.output.firstMatch(of: #/Connect with: (.*)/#)?.1, "\(recovered.output)")
            let asked = try b.shell(
                "\(words) -XAtc \"select pg_is_in_recovery(), string_agg(i::text, ' ') from t\"")
            #expect(asked.output == (action == "pause" ? "t|1\n" : "f|1\n"), "\(asked.output)")
        }
    }
}
