import Platform
import Support
import Testing

/// The archive lost the first segment of a timeline; the one that its parent left is there as `.partial`.
@Suite struct LostForkSegmentServerTests {
    @Test(arguments: TestServer.ends)
    func `what the parent's incomplete segment holds is offered`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a)
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            // The commit after it flushes the restore point.
            try a.psql(
                "insert into t values (2)", "select pg_create_restore_point('here')", "insert into t values (3)")
            try group.drain(a)
            try group.catchUp(b, with: a)
            try a.stop("immediate")
            try b.promote()
            try b.psql("insert into t values (4)", "select pg_switch_wal()")
            try b.psql("insert into t values (5)", "select pg_switch_wal()")
            try group.drain(b)
            try b.stop()
            let partial = try #require(group.archived().first { $0.hasSuffix(".partial") })
            let first = "00000002" + partial.dropFirst(8).prefix(16)
            try runAsServerUser("/usr/bin/find", [group.wal, "-name", "\(first).zst", "-delete"])

            let elsewhere = ["--data-directory", group.directory + "/elsewhere"]
            for options in [[], ["--use-partial"]] {
                let refused = try a.tidemark(["plan", "--target", "latest"] + options + elsewhere)
                #expect(refused.ending == .exited(4) && refused.errors.contains("\(first)"), "\(refused)")
                let offers = refused.errors.matches(of: /(--target[^(;]*) \(/).map {
                    $0.output.1.split(separator: " ").map(String.init)
                }
                let best = try #require(offers.first { $0.contains("--use-partial") }, "\(refused)")
                let copy = RecoveredCopy(group)
                try copy.recover(a, best)
                #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == "1 2 3")
                for offer in offers {
                    let planned = try a.tidemark(["plan"] + offer + elsewhere)
                    #expect(planned.ending == .exited(0), "\(offer): \(planned)")
                }
            }
            let offered = try a.tidemark(
                ["plan", "--target-name", "here", "--target-timeline", "1"] + elsewhere)
            #expect(offered.ending == .exited(4) && offered.errors.contains("--use-partial"), "\(offered)")
            let copy = RecoveredCopy(group)
            try copy.recover(a, ["--target", "latest", "--target-timeline", "1", "--use-partial"])
            #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == "1 2 3")
        }
    }

    /// Two recoveries in place that fork in one segment: of timeline 2 there is only a `.partial`, and what timeline
    /// 3's first segment holds of it.
    @Test func `a restore point of a timeline that has no segment of its own is found`() throws {
        let group = try ServerGroup(.v15)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            // With --start, tidemark has the server finish its first segment.
            func recover(to target: String) throws {
                try a.kill()
                try a.tidemark(
                    ["recover", "--target-name", target, "--yes", "--set", "config_file=\(a.serverConfiguration)"],
                    expectSuccess: true)
                try a.start()
                try group.wait(for: "the end of recovery") { try a.psql("select pg_is_in_recovery()") == "f" }
            }
            try a.psql("select pg_create_restore_point('r1')", "insert into t values (1)")
            try recover(to: "r1")
            try a.psql("insert into t values (2)", "select pg_create_restore_point('r2')", "insert into t values (3)")
            try recover(to: "r2")
            try a.psql("insert into t values (4)", "select pg_switch_wal()")
            try group.drain(a)
            #expect(try !group.archived().contains { $0.hasPrefix("000000020000") && $0.count == 24 })

            try a.tidemark(["plan", "--target-name", "r2"], expectSuccess: true)
            for timeline in ["1", "2"] {
                let refused = try a.tidemark(["plan", "--target-name", "r2", "--target-timeline", timeline])
                #expect(refused.ending == .exited(4) && !refused.errors.contains("is not in the archive"), "\(refused)")
                let offers = refused.errors.matches(of: /(--target[^(;]*) \(/).map {
                    $0.output.1.split(separator: " ").map(String.init)
                }
                #expect(!offers.isEmpty, "\(refused)")
                for offer in offers {
                    let planned = try a.tidemark(["plan"] + offer)
                    #expect(planned.ending == .exited(0), "\(offer): \(planned)")
                }
            }
        }
    }
}
