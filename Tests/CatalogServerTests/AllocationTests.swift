import FoundationEssentials
import Platform
import Support
import Testing

/// Reading a record allocates no memory.
@Suite struct AllocationTests {
    private struct Verified: Decodable {
        let segments: Int
        let records: Int
    }

    @Test func `no memory is allocated per record`() throws {
        let site = try TestSite(settings: ["full_page_writes": "off", "autovacuum": "off"], initialize: false)
        // It warns of the setting.
        try site.tidemark(["init"])
        let cluster = site.cluster
        try cluster.psql("create table t (i int)")
        try site.archiveEverything()
        // 200,000 records in a segment, then one that is nearly as large.
        let many = try cluster.psql("select pg_current_wal_lsn()")
        try cluster.psql("insert into t select generate_series(1, 200000)")
        try site.archiveEverything()
        let few = try cluster.psql("select pg_current_wal_lsn()")
        try cluster.psql("select length(pg_logical_emit_message(false, 'big', repeat('x', 13000000))::text) > 0")
        try site.archiveEverything()

        let counter = site.scratch.file("count-allocations.so")
        let compiled = try run(
            "cc", ["-O2", "-shared", "-fPIC", "-o", counter, Files.parent(#filePath) + "/count-allocations.c"])
        try #require(compiled.ending == .exited(0), "\(compiled.errors)")
        let program = try Executables.directory.get() + "/tidemark-main"
        func verify(_ lsn: String) throws -> (records: Int, allocations: Int) {
            let counted = site.scratch.file("counted")
            let finished = try runAsServerUser(
                program, ["verify", "--wal", "--json", "--from", lsn, "--to", lsn],
                environment: [
                    "TIDEMARK_CONFIG": site.configuration, "LD_PRELOAD": counter, "COUNT_ALLOCATIONS": counted,
                ], expectSuccess: true)
            let verified = try JSONDecoder().decode(Verified.self, from: Data(finished.output.utf8))
            #expect(verified.segments == 1)
            return (verified.records, try #require(Int(Files.readText(counted))))
        }
        let (small, large) = try (verify(many), verify(few))
        #expect(small.records > 200_000)
        #expect(large.records < 1000)
        // Tables of changed blocks double sometimes.
        #expect(small.allocations < large.allocations + 1000, "\(small), \(large)")
    }
}
