import Platform
import Support
import Testing

/// The segment in which a timeline began is lost; the one before has a full copy of it, which is the same up to there.
@Suite struct ForkSegmentServerTests {
    @Test(arguments: TestServer.ends)
    func `what the parent's copy holds before the fork can be reached, and is told`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            let xid = try a.psql("insert into t values (1) returning xmin")
            try group.catchUp(b, with: a)
            var segment = ""
            try group.failOver(from: a, to: b) {
                try a.psql("insert into t values (2)")
                segment = try a.psql("select pg_walfile_name(pg_switch_wal())")
            }
            for row in 3...4 { try b.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            try group.drain(b)
            let lost = "00000002" + segment.dropFirst(8)
            try #require(try group.archived().contains(segment) && group.archived().contains(lost))
            try runAsServerUser("/usr/bin/find", [group.wal, "-name", "\(lost).zst", "-delete"])
            let told = try b.tidemark(["segments"])
            #expect(told.ending == .exited(3), "\(told)")
            #expect(told.output.contains("(transaction \(xid)) cannot be reached"), "\(told)")
            #expect(!told.output.contains(".partial"), "\(told)")
            for line in [["around", "--target-time", "2100-01-01 00:00 UTC"], ["window"]] {
                let said = try b.tidemark(line)
                #expect(said.ending == .exited(3), "\(said)")
                #expect(said.output.contains(line == ["window"] ? segment.suffix(3) : "\(xid)"), "\(line): \(said)")
            }
            for target in [["--target-xid", xid], ["--target-xid", xid, "--target-timeline", "2"]] {
                let copy = RecoveredCopy(group)
                try copy.recover(b, target)
                #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == "1")
            }
        }
    }

    /// As a copy of its directory would be: no server runs on it that could still write the segment.
    @Test(arguments: TestServer.ends)
    func `a killed primary's last segment is stored from its own directory`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let (a, b) = try group.addBackedUpPair()
            b.settings["restore_command"] = "''"
            try b.writeSettings()
            try a.psql("insert into t values (1)")
            let segment = try a.psql("select pg_walfile_name(pg_current_wal_insert_lsn())")
            let path = "\(a.data)/pg_wal/\(segment)"
            let refused = try a.tidemark(["archive-push", path])
            #expect(refused.ending == .exited(1), "\(refused)")
            try group.catchUp(b, with: a)
            try a.kill()
            try b.promote()
            try group.drain(b)
            try #require(try group.archived().contains("00000002.history"))
            let stored = try a.tidemark(["archive-push", path])
            #expect(stored.ending == .exited(0) && stored.errors.contains("ends early"), "\(stored)")
            try b.tidemark(["verify", "--wal"], expectSuccess: true)
        }
    }

    /// A standby that lags hasn't replayed the point at which another server was promoted.
    @Test(arguments: TestServer.ends)
    func `on a standby that lags check follows the timeline that it will follow`(_ version: TestServer) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby(
                "b", of: a, settings: ["recovery_min_apply_delay": "'1h'", "restore_command": "''"])
            let c = try group.addStandby("c", of: a)
            try a.psql("insert into t values (1)", "select pg_switch_wal()", "insert into t values (2)")
            try group.catchUp(c, with: a)
            try group.drain(a)
            try a.stop()
            try c.promote()
            // The times are shown in whole seconds.
            try c.psql("select pg_sleep(1.1)", "insert into t values (3)", "select pg_switch_wal()")
            try c.psql("insert into t values (4)", "select pg_switch_wal()")
            try group.drain(c)
            func agree() throws -> Finished {
                let window = try b.tidemark(["window", "--json"]).output
                let to = try #require(window.firstMatch(of: /"to" *: *"(\d+-\d+-\d+)T(\d+:\d+:\d+)/))
                let checked = try b.tidemark(["check", "--only", "recovery_window"])
                #expect(checked.output.contains("to \(to.output.1) \(to.output.2)"), "\(checked)\n\(window)")
                return checked
            }
            #expect(try agree().ending == .exited(0))
            let timelines = try b.tidemark(["check", "--only", "timelines"])
            #expect(timelines.ending == .exited(0), "\(timelines)")
            let words = "the archive has timeline 2, which this standby will follow"
            #expect(timelines.output.contains(words), "\(timelines)")
            let first = try #require(group.archived().first { $0.hasPrefix("00000002") && $0.count == 24 })
            try runAsServerUser("/usr/bin/find", [group.wal, "-name", "\(first).zst", "-delete"])
            for line in [["segments"], ["check", "--only", "wal_continuity"]] {
                let told = try b.tidemark(line)
                #expect(told.ending == .exited(3) && told.output.contains(first), "\(line): \(told)")
            }
        }
    }
}
