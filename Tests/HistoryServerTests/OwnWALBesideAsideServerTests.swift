import Platform
import Support
import Testing

/// Another server's WAL of the cluster's own timeline was put aside, and a recovery in place names that timeline: it
/// follows the directory's WAL.
@Suite struct OwnWALBesideAsideServerTests {
    /// What the dead server wrote since the other one began; that has two segments.
    enum Own: String, CaseIterable, Sendable {
        /// Only the segment it was writing, which is archived as `.partial`.
        case unfinished
        /// One segment, and no record after it.
        case finished
        /// One segment, and a part of the next.
        case both
    }

    private static let samples: [(TestServer, Own)] = Own.allCases.map { (.v15, $0) } + [(.v18, .unfinished)]

    @Test(arguments: samples)
    private func `a named timeline that was put aside as well is the directory's own in place`(
        _ version: TestServer, _ own: Own
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(a)
            let k = try group.addCopy("k", of: a)
            for row in [-1, -2] { try k.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            try group.drain(k)
            try k.kill()
            group.step("the other's is put aside, and the server dies")
            let first = try #require(try group.archived().filter { $0.count == 24 }.dropLast().last)
            try a.psql("insert into t values (2)")
            if own != .unfinished { try a.psql("select pg_switch_wal()") }
            if own == .both { try a.psql("insert into t values (3)") }
            try a.kill()
            try a.tidemark(
                ["segments", "put-aside", first, "--following", "--certain", "--yes"], expectSuccess: true)
            group.step("the timeline is named")
            let named = ["--target", "latest", "--target-timeline", "1"]
            let plan = try a.tidemark(["plan"] + named, expectSuccess: true)
            #expect(plan.output.contains("that was put aside isn't read"), "\(plan)")
            #expect(!plan.output.contains("--put-aside"), "\(plan)")
            let stop = try #require(plan.output.firstMatch(of: /stops .*LSN ([0-9A-F\/]+)/)).output.1
            let recovered = try a.tidemark(
                ["recover", "--start", "--yes", "--set", "config_file=\(a.serverConfiguration)"] + named,
                expectSuccess: true)
            #expect(recovered.output.contains("Reached: LSN \(stop)"), "\(recovered), planned \(stop)")
            let rows = own == .both ? "1,2,3" : "1,2"
            #expect(try a.psql("select string_agg(i::text, ',' order by i) from t") == rows)
        }
    }
}
