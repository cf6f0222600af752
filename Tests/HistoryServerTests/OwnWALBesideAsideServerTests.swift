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
        /// As `unfinished`; the recovery is killed and resumed when the old directory has been renamed.
        case interrupted
        /// The same, but the directory is changed in place, and nobody names the timeline.
        case delta
        var isInterrupted: Bool { [.interrupted, .delta].contains(self) }
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
            if [.finished, .both].contains(own) { try a.psql("select pg_switch_wal()") }
            if own == .both { try a.psql("insert into t values (3)") }
            try a.kill()
            try a.tidemark(
                ["segments", "put-aside", first, "--following", "--certain", "--yes"], expectSuccess: true)
            group.step("the timeline is named")
            let named = ["--target", "latest"] + (own == .delta ? [] : ["--target-timeline", "1"])
            let plan = try a.tidemark(["plan"] + named, expectSuccess: true)
            if own != .delta { #expect(plan.output.contains("that was put aside isn't read"), "\(plan)") }
            #expect(!plan.output.contains("--put-aside"), "\(plan)")
            let stop = try #require(plan.output.firstMatch(of: /stops .*LSN ([0-9A-F\/]+)/)).output.1
            let recover = ["recover", "--start", "--yes", "--set", "config_file=\(a.serverConfiguration)"]
            let recovered: Finished
            if own == .delta {
                let killed = try Support.tidemark(
                    recover + named + ["--delta"],
                    environment: ["TIDEMARK_CONFIG": a.configuration, "TIDEMARK_FAULT": "write:base/*=kill"])
                try #require(killed.errors.contains("fault: killed"), "\(killed)")
                recovered = try a.tidemark(["recover", "--resume", "--yes"], expectSuccess: true)
            } else if own.isInterrupted {
                // Killed when it has renamed the old directory, whose WAL is archived by then.
                let killed = try Support.tidemark(
                    recover + named,
                    environment: [
                        "TIDEMARK_CONFIG": a.configuration, "TIDEMARK_FAULT": "makeDirectory:base=kill",
                    ])
                try #require(killed.ending != .exited(0), "\(killed)")
                try #require(
                    Files.list(group.directory).contains { $0.hasPrefix("\(Files.name(a.data)).before-") }, "\(killed)")
                recovered = try a.tidemark(["recover", "--resume", "--yes"], expectSuccess: true)
            } else {
                recovered = try a.tidemark(recover + named, expectSuccess: true)
            }
            #expect(recovered.output.contains("Reached: LSN \(stop)"), "\(recovered), planned \(stop)")
            let rows = own == .both ? "1,2,3" : "1,2"
            #expect(try a.psql("select string_agg(i::text, ',' order by i) from t") == rows)
        }
    }
}
