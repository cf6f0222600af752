import Platform
import Support
import Testing

/// Replay and every start load the progress of replication origins: a copy of a subscriber needs room for it.
@Suite struct OriginServerTests {
    @Test(arguments: TestServer.allCases)
    func `a cluster with more replication origins than a server has room for by default`(_ server: TestServer) throws {
        let room = server.rawValue >= 18 ? "max_active_replication_origins" : "max_replication_slots"
        let site = try TestSite(server, settings: [room: "20"], initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        // The copy's configuration allows fewer of them than the server has.
        try runAsServerUser("/bin/sed", ["-i", "/^\(room)/d", cluster.data + "/postgresql.conf"])
        try cluster.psql("create table t (n int)")
        func apply(_ numbers: ClosedRange<Int>) throws {
            for number in numbers {
                try cluster.psql(
                    "select pg_replication_origin_create('o\(number)'); select pg_replication_origin_session_setup('o\(number)'); "
                        + "select pg_replication_origin_xact_setup('0/\(number)0', now()); insert into t values (\(number))"
                )
            }
        }
        try apply(1...12)
        #expect(try cluster.psql("select count(*) from pg_replication_origin_status") == "12")
        try cluster.psql("checkpoint")
        try site.tidemark(["backup"], expectSuccess: true)
        try apply(13...15)
        try site.archiveEverything()

        let toFile = ["--target", "latest", "--to-file", site.scratch.file("t")]
        let table = try site.tidemark(["recover-table", "--table", "postgres.public.t"] + toFile)
        #expect(table.ending == .exited(0) && !table.errors.contains("trying again"), "\(table.errors)")
        let drill = try site.tidemark(["drill"])
        #expect(drill.ending == .exited(0), "\(drill.errors)\(drill.output)")
        let copy = try RecoveredDirectory(site)
        let finished = try copy.recover(["--target", "latest"])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        for _ in 1...2 {
            #expect(
                try copy.psql("select count(*), (select count(*) from pg_replication_origin_status) from t") == "15|15")
            #expect(try copy.psql("show \(room)") == "20")
            try copy.pgControl(["restart"])
        }
    }
}
