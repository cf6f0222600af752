import Platform
import Support
import Testing

/// The primary could not archive its last segments, and is gone; a standby received them, and marked them `.done`.
@Suite struct ReceivedWALServerTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let version: TestServer
        /// The standby was promoted, and archived of its own timeline; else its last restartpoint lies behind those
        /// segments.
        let isPromoted: Bool
        let isDelta: Bool
        var testDescription: String {
            "\(version), \(isPromoted ? "promoted" : "a standby"), \(isDelta ? "--delta" : "renamed")"
        }
    }

    static let rows = [
        Row(version: .v15, isPromoted: true, isDelta: false), Row(version: .v15, isPromoted: true, isDelta: true),
        Row(version: .v15, isPromoted: false, isDelta: true), Row(version: .v18, isPromoted: false, isDelta: false),
    ]

    @Test(arguments: rows)
    func `a recovery in place archives what a standby only received`(_ row: Row) throws {
        let group = try ServerGroup(row.version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a, settings: ["wal_keep_size": "64MB"])
            try a.psql("insert into t values (1)", "select pg_switch_wal()")
            try group.drain(a)
            group.step("a can't archive any more")
            try a.psql("alter system set archive_command = 'false'", "select pg_reload_conf()")
            try group.wait(for: "the archiver to fail") {
                try a.psql("insert into t values (2)", "select pg_switch_wal()")
                return try a.psql("select failed_count > 0 from pg_stat_archiver") == "t"
            }
            let lacking = try a.waiting().map { String($0.dropLast(6)) }
            for row in 3...5 { try a.psql("insert into t values (\(row))", "select pg_switch_wal()", "checkpoint") }
            try a.psql("insert into t values (6)")
            try group.catchUp(b, with: a)
            if !row.isPromoted { try b.psql("checkpoint") }
            try a.kill()
            if row.isPromoted {
                try b.promote()
                try b.psql("insert into t values (7)", "select pg_switch_wal()", "insert into t values (8)")
                try group.drain(b)
            }
            let rows = try b.psql("select string_agg(i::text, ' ' order by i) from t")
            try b.kill()
            let archived = try group.archived()
            for name in lacking {
                let isReceived = try Files.exists("\(b.data)/pg_wal/archive_status/\(name).done")
                try #require(isReceived && !archived.contains(name), "the case is not met: \(name)")
            }

            group.step("b is recovered in place")
            try b.tidemark(["plan", "--target", "latest"], expectSuccess: true)
            let elsewhere = try b.tidemark(
                ["plan", "--target", "latest", "--data-directory", group.directory + "/elsewhere"])
            #expect(elsewhere.ending == .exited(row.isPromoted ? 4 : 0), "\(elsewhere)")
            if row.isPromoted {
                let offer = try #require(
                    elsewhere.errors.firstMatch(of: /store it with "tidemark (archive-push [^"]*([0-9A-F]{24})[^"]*)"/),
                    "\(elsewhere)")
                try b.tidemark(offer.output.1.split(separator: " ").map(String.init), expectSuccess: true)
                #expect(try group.archived().contains(String(offer.output.2)))
            }
            // With --delta, to a moment before all that: nothing of it may go with the directory.
            let target = row.isDelta ? ["--target", "immediate", "--delta"] : ["--target", "latest"]
            let recovered = try b.tidemark(
                ["recover", "--start", "--yes", "--set", "config_file=\(b.serverConfiguration)"] + target)
            try #require(recovered.ending == .exited(0), "\(recovered)")
            #expect(try Set(lacking).isSubset(of: group.archived()), "\(recovered)")
            let copy = RecoveredCopy(group)
            let timeline = row.isPromoted ? "2" : "1"
            try copy.recover(b, ["--target", "latest", "--target-timeline", timeline, "--use-partial"])
            #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == rows)
        }
    }
}
