import Glibc
import Platform
import Support
import Testing

/// Transactions that were prepared before a fork and are pending there.
@Suite(.serialized) struct PreparedForkServerTests {
    private static let pending = "select string_agg(gid, ' ' order by gid) from pg_prepared_xacts"
    private static let rows = "select string_agg(n::text, ' ' order by n) from t"

    /// A cluster whose timelines 1, 2 and 3 fork in one segment, after a prepared transaction, and whose timelines 3
    /// and 4 fork in a later one; each fork is a recovery in place.
    private func history(_ server: TestServer) throws -> TestSite {
        let site = try TestSite(
            server, settings: ["max_prepared_transactions": "5", "autovacuum": "off"], initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create table t (n int); create table other as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        // With --start, tidemark has the server finish its first segment: the next fork would be in a later one.
        func recoverInPlace(_ timeline: Int, start: Bool = false) throws {
            try cluster.stop(mode: "immediate")
            let finished = try site.tidemark(
                ["recover", "--target", "latest", "--yes"] + (start ? ["--start"] : []))
            try #require(finished.ending == .exited(0), "timeline \(timeline): \(finished.errors)")
            if start {
                #expect(finished.output.contains("As predicted"), "timeline \(timeline): \(finished.output)")
            } else {
                try cluster.start()
                try cluster.wait(for: "timeline \(timeline)") {
                    try cluster.psql("select pg_is_in_recovery()") == "f"
                }
            }
            #expect(try cluster.psql(Self.pending) == "p", "timeline \(timeline)")
        }
        try site.archiveEverything()
        try cluster.psql("begin; insert into t values (1); prepare transaction 'p'")
        try cluster.psql("insert into t values (2)")
        try recoverInPlace(2)
        try cluster.psql("insert into t values (3)")
        try recoverInPlace(3)
        try cluster.psql("insert into t values (4)")
        let partings = try (2...3).map { try Self.parting(of: $0, site) }
        #expect(partings[0] == partings[1], "the timelines part in different segments")
        try site.archiveEverything()
        try cluster.psql("insert into t values (5)")
        try recoverInPlace(4, start: true)
        #expect(try Self.parting(of: 4, site) != partings[1])
        try cluster.psql("insert into t values (6)")
        try site.archiveEverything()
        return site
    }

    /// The segment in which a timeline begins.
    private static func parting(of timeline: Int, _ site: TestSite) throws -> String {
        let text = try Files.readText("\(site.cluster.data)/pg_wal/0000000\(timeline).history")
        let point = try #require(text.split(separator: "\n").last?.split(separator: "\t")[1])
        return try site.cluster.psql("select ('\(point)'::pg_lsn - '0/0') / (1024 * 1024)").prefix { $0 != "." }
            .description
    }

    private func check(_ directory: RecoveredDirectory, _ what: String) throws {
        #expect(try directory.psql(Self.pending) == "p", "\(what)")
        #expect(try directory.psql(Self.rows) == "2 3 4 5 6", "\(what)")
        _ = try directory.psql("commit prepared 'p'")
        #expect(try directory.psql(Self.rows) == "1 2 3 4 5 6", "\(what)")
    }

    @Test(arguments: TestServer.allCases)
    func `a transaction prepared before forks and pending at them is there after every kind of recovery`(
        _ server: TestServer
    ) throws {
        let site = try history(server)
        let target = try site.cluster.psql("select pg_current_wal_lsn()")
        try site.cluster.psql("insert into t values (7)")
        try site.archiveEverything()

        for arguments in [["--target-lsn", target], ["--target-lsn", target, "--target-timeline", "4"]] {
            let beside = try RecoveredDirectory(site)
            let finished = try beside.recover(arguments)
            try #require(finished.ending == .exited(0), "\(arguments): \(finished.errors)")
            #expect(try RecoverAnswer(finished.output).asPredicted == true)
            try check(beside, "\(arguments)")
        }

        // Without the parents' files the server can't recover: it needs them.
        let bare = try RecoveredDirectory(site)
        var finished = try bare.recover(["--target-lsn", target], start: false)
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        let placed = try Files.list(bare.path + "/pg_wal").filter { $0.utf8.count == 24 }.sorted()
        #expect(placed.map { String($0.prefix(8)) } == ["00000001", "00000002", "00000003"], "\(placed)")
        try Files.rename("\(bare.path)/pg_wal/\(placed[0])", to: site.scratch.file("parent"))
        func start() throws -> Finished {
            try runAsServerUser(
                server.bin + "/pg_ctl",
                [
                    "-D", bare.path, "-l", bare.path + "/log", "-w", "-t", "300", "-o",
                    "-c unix_socket_directories=\(bare.path)", "start",
                ], expectSuccess: false)
        }
        // It may answer queries for a moment before it reaches the end.
        _ = try start()
        try wait(for: "the server to miss the parent's file") {
            try Files.readText(bare.path + "/log")
                .contains("requested WAL segment pg_wal/\(placed[0]) has already been removed")
        }
        // With the files, it starts by hand, too.
        let byHand = try RecoveredDirectory(site)
        finished = try byHand.recover(["--target-lsn", target], start: false)
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        try runAsServerUser(
            server.bin + "/pg_ctl",
            [
                "-D", byHand.path, "-l", byHand.path + "/log", "-w", "-t", "300", "-o",
                "-c unix_socket_directories=\(byHand.path)", "start",
            ])
        try wait(for: "the end of recovery") { try byHand.psql("select pg_is_in_recovery()") == "f" }
        try check(byHand, "started by hand")

        let standby = try RecoveredDirectory(site)
        finished = try standby.recover(["--target", "latest", "--standby"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        try wait(for: "the standby") { try standby.psql(Self.rows) == "2 3 4 5 6 7" }
        #expect(try standby.psql("select pg_promote(true, 600)") == "t")
        #expect(try standby.psql(Self.pending) == "p")

        let drill = try site.tidemark(["drill"])
        #expect(drill.ending == .exited(0), "\(drill.errors)\(drill.output)")
        let table = try site.tidemark([
            "recover-table", "-t", "postgres.public.t", "--target-lsn", target, "--into-table=public.recovered",
        ])
        #expect(table.ending == .exited(0), "\(table.errors)")
        #expect(table.errors.contains("Prepared transaction \"p\""), "\(table.errors)")
        #expect(try site.cluster.psql(Self.rows.replacing("from t", with: "from recovered")) == "2 3 4 5 6")

        // In place once more; and the archiver doesn't archive the files that tidemark put into pg_wal.
        try site.cluster.stop(mode: "immediate")
        finished = try site.tidemark(["recover", "--target", "latest", "--start", "--yes"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        try site.cluster.psql("commit prepared 'p'")
        #expect(try site.cluster.psql(Self.rows) == "1 2 3 4 5 6 7")
        for statement in ["checkpoint", "insert into t values (8)", "checkpoint"] { try site.cluster.psql(statement) }
        try site.archiveEverything()
        #expect(try !Files.readText(site.cluster.logFile).contains("different contents"))
        let verified = try site.tidemark(["verify", "--wal"])
        #expect(verified.ending == .exited(0), "\(verified.errors)\(verified.output)")
    }
}
