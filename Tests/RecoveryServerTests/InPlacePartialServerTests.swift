import Platform
import Support
import Testing
import WAL

/// A dead server's directory whose WAL ends with a full segment, while the archive has a .partial of the next one.
@Suite(.serialized) struct InPlacePartialServerTests {
    @Test(arguments: TestServer.allCases)
    func `in place, too, a .partial that leads further is offered`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try cluster.alterSystem("archive_command", "false")
        try cluster.psql("insert into t values (1)")
        let waiting = try #require(SegmentName(try cluster.psql("select pg_walfile_name(pg_switch_wal())")))
        try cluster.psql("insert into t values (2)")
        let lsn = try #require(LSN(try cluster.psql("select pg_current_wal_insert_lsn()"))).description
        try cluster.psql("insert into t values (3)")
        try cluster.stop(mode: "immediate")
        let last = waiting.next(segmentSize: 1 << 20)
        let wal = cluster.data + "/pg_wal"
        let partial = site.scratch.file("\(last).partial")
        try createDurably(partial, bytes: Files.read("\(wal)/\(last)", limit: 1 << 20), mode: 0o644)
        try site.tidemark(["archive-push", partial], expectSuccess: true)
        // The directory never had the next segment.
        for name in try Files.list(wal) where SegmentName(name).map({ $0 > waiting }) ?? false {
            try Files.remove("\(wal)/\(name)")
        }

        let plan = try site.tidemark(["plan", "--target", "latest"])
        #expect(plan.ending == .exited(0), "\(plan.errors)")
        #expect(plan.output.contains("all but 1 are in the archive"), "\(plan.output)")
        let offered = "--target latest --use-partial"
        #expect(plan.output.contains("\"\(offered)\" takes the recovery to LSN"), "\(plan.output)")
        let refused = try site.tidemark(["plan", "--target-lsn", lsn])
        #expect(refused.ending == .exited(4))
        #expect(refused.errors.contains("--target-lsn \(lsn) --use-partial (with the incomplete"), "\(refused.errors)")

        let words = offered.split(separator: " ").map(String.init)
        let recovered = try site.tidemark(["recover", "--start", "--yes", "--json"] + words)
        try #require(recovered.ending == .exited(0), "\(recovered.errors)")
        #expect(try RecoverAnswer(recovered.output).asPredicted == true)
        #expect(try cluster.psql("select string_agg(n::text, ' ' order by n) from t") == "1 2 3")
    }
}
