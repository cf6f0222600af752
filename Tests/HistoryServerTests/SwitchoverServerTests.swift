import Platform
import Support
import Testing

/// What pairs and trios of servers hand over around a switchover or a failover never stops their archivers.
@Suite struct SwitchoverServerTests {
    /// The archive is whole and says so, and a backup ends.
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
    func `a standby that archives always goes on when its upstream is promoted`(_ version: TestServer) throws {
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

    /// The one that hands the file over: a standby that archives always, or one that becomes a primary later.
    @Test(arguments: TestServer.allCases, ["always", "on"])
    func `a segment of which nothing was received is handed over, and archiving goes on`(
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
            try Self.fill(a, segments: 1)
            for standby in [b, c] { try group.catchUp(standby, with: a) }
            try group.drain(a)
            try a.stop("immediate")
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
            let rows = try a.psql("select count(*) from t")
            try group.drain(a)
            group.step("kill a, promote b, and kill b once it has archived the partial segment")
            try a.stop("immediate")
            try b.promote()
            let left = "00000001" + (try Self.switched(b, from: "1")) + ".partial"
            try group.wait(for: "\(left) to be archived") { try group.archived().contains(left) }
            try b.stop("immediate")
            try Files.rename(b.data, to: b.data + ".gone")
            let copy = RecoveredCopy(group)
            try copy.recover(b, ["--target", "latest", "--target-timeline", "1", "--use-partial"])
            #expect(try copy.psql("select count(*) from t") == rows)
        }
    }
}
