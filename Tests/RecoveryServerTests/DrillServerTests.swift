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
        #expect(passed.output.contains("pg_amcheck looked at every database."))
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
        let incarnation = try Files.list(site.repository + "/main")[0]
        let records = try Files.list("\(site.repository)/main/\(incarnation)/recovery")
        #expect(records.count == 1)
        #expect(records[0].contains("-drill-"))
        #expect(try site.tidemark(["history", "--json"]).output.contains("\"seconds\""))
        // The server that is alive noticed nothing.
        #expect(try site.cluster.psql("show archive_mode") == "on")

        // A drill that ends before the rows were there finds them missing.
        let empty = try site.tidemark(["drill", "--target", "immediate"])
        #expect(empty.ending == .exited(3), "\(empty.errors)")
        #expect(empty.output.contains("PROBLEM: Query \"select count(*) > 5 from t\" returned f instead of true."))
        #expect(empty.output.contains("PROBLEM: Table public.t has 0 rows; at least 10 were expected."))
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])

        let random = try site.tidemark(["drill", "--random"])
        #expect([.exited(0), .exited(3)].contains(random.ending), "\(random.errors)")
    }
}
