import Platform
import Support
import Testing

/// A standby that has followed a promotion names the new timeline in its control file only at its next restartpoint.
/// What it has replayed is looked at instead, streaming or not, alive or dead.
@Suite struct StandbyTimelineServerTests {
    enum State: String, CaseIterable, Sendable {
        case streaming
        /// It streamed, until its upstream was lost.
        case upstreamGone
        /// It never knew an upstream since the promotion, and restores from the archive.
        case archiveOnly
        /// The archive has a timeline that it can't follow: it was past the place where that begins. PostgreSQL keeps
        /// the history all the same.
        case strayHistory
    }

    private static let samples =
        State.allCases.map { (TestServer.v15, $0) } + [
            (.v16, .archiveOnly), (.v18, .archiveOnly), (.v18, .strayHistory),
        ]

    private func expectStaleControlFile(_ server: Server) throws {
        let control = try server.tool("pg_controldata", ["-D", server.data]).output
        let timelines = control.split(separator: "\n").filter { $0.contains("imeLineID:") || $0.contains("timeline:") }
        #expect(timelines.allSatisfy { !$0.hasSuffix(" 2") }, "the case is not met: \(control)")
    }

    @Test(arguments: samples)
    private func `a standby is judged by the timeline that it has replayed`(
        _ version: TestServer, _ state: State
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a, settings: ["restore_command": "''"])
            let c = try group.addStandby("c", of: a)
            try a.psql("insert into t values (1)")
            for standby in [b, c] { try group.catchUp(standby, with: a) }
            switch state {
            case .streaming, .upstreamGone, .archiveOnly:
                try a.kill()
                try b.promote()
                try c.follow(state == .archiveOnly ? nil : b)
                try c.reload()
                for row in [2, 3] { try b.psql("insert into t values (\(row))", "select pg_switch_wal()") }
                try group.drain(b)
                // The archive has nothing of what the server writes behind the last switch by itself.
                try group.wait(for: "c to have all rows") { try c.psql("select count(*) from t") == "3" }
                if state == .upstreamGone {
                    try b.kill()
                    try group.wait(for: "the receiver to end") { try !c.isStreaming() }
                }
            case .strayHistory:
                try c.follow(nil)
                try c.reload()
                try b.stop()
                for row in [2, 3] { try a.psql("insert into t values (\(row))", "select pg_switch_wal()") }
                try group.drain(a)
                try group.wait(for: "c to have all rows") { try c.psql("select count(*) from t") == "3" }
                try b.follow(nil)
                try b.start()
                try b.promote()
                for row in [-2, -3] { try b.psql("insert into t values (\(row))", "select pg_switch_wal()") }
                try group.drain(b)
                try group.wait(for: "the history that c can't follow") {
                    try Files.exists(c.data + "/pg_wal/00000002.history")
                }
            }
            try expectStaleControlFile(c)
            let timeline = state == .strayHistory ? 1 : 2

            group.step("while it lives")
            let timelines = try c.tidemark(["check", "--only", "timelines"])
            #expect(timelines.ending == .exited(state == .strayHistory ? 3 : 0), "\(timelines)")
            #expect(timelines.output.contains("server is on timeline \(timeline)"), "\(timelines)")
            let told = try c.tidemark(
                ["check", "--only", "rpo", "--only", "recovery_window", "--only", "wal_continuity"])
            #expect(told.ending == .exited(0), "\(told)")
            #expect(told.output.contains("Every commit is in the repository"), "\(told)")
            let newest = try #require(told.output.firstMatch(of: /oldest backup to "(0000000.)/), "\(told)")
            #expect(newest.output.1.hasSuffix("\(timeline)"), "\(told)")

            group.step("when it is dead")
            for server in [a, b, c] { try server.kill() }
            try expectStaleControlFile(c)
            let plan = try c.tidemark(["plan", "--target", "latest"], expectSuccess: true)
            #expect(plan.output.contains("then 2") == (timeline == 2), "\(plan)")
            try c.tidemark(
                ["recover", "--target", "latest", "--start", "--yes"]
                    + ["--set", "config_file=\(c.serverConfiguration)"], expectSuccess: true)
            #expect(try c.psql("select string_agg(i::text, ',' order by i) from t") == "1,2,3")
        }
    }

    /// The new primary archived nothing of its timeline, not even the history, before it was lost.
    @Test(arguments: TestServer.ends)
    func `what only a dead standby has received of the new timeline is recovered in its place`(
        _ version: TestServer
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a, settings: ["archive_command": "'false'"])
            let c = try group.addStandby("c", of: a)
            try a.psql("insert into t values (1)")
            for standby in [b, c] { try group.catchUp(standby, with: a) }
            try a.stop()
            try b.promote()
            try c.follow(b)
            try c.reload()
            for row in [2, 3] { try b.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            try b.psql("insert into t values (4)")
            try group.catchUp(c, with: b)
            for server in [b, c] { try server.kill() }
            try b.shell("rm -rf '\(b.data)'")
            try expectStaleControlFile(c)
            let plan = try c.tidemark(["plan", "--target", "latest"], expectSuccess: true)
            #expect(plan.output.contains("then 2"), "\(plan)")
            try c.tidemark(
                ["recover", "--target", "latest", "--start", "--yes"]
                    + ["--set", "config_file=\(c.serverConfiguration)"], expectSuccess: true)
            #expect(try c.psql("select string_agg(i::text, ',' order by i) from t") == "1,2,3,4")
        }
    }
}
