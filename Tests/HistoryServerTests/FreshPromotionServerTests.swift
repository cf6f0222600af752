import Platform
import Support
import Testing

/// A promoted server's first checkpoint may take minutes. From the first moment, reports about its archive are about
/// its own timeline.
@Suite struct FreshPromotionServerTests {
    @Test(arguments: TestServer.allCases)
    func `right after a promotion check is about the new timeline`(_ version: TestServer) throws {
        let group = try ServerGroup(
            version,
            settings: [
                "checkpoint_completion_target": "0.9", "bgwriter_lru_maxpages": "0", "max_wal_size": "1GB",
                "wal_keep_size": "64MB",
            ])
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let push = "\(try Executables.tidemark()) archive-push --config \(group.directory)/b.conf"
            let b = try group.addStandby(
                "b", of: a, settings: ["archive_command": "'case %f in *.history) exit 0;; esac; \(push) %p'"])
            // A page of a spread checkpoint takes a tenth of a second.
            try a.psql("insert into t select generate_series(1, 200000)", "select pg_switch_wal()")
            try group.drain(a)
            try group.catchUp(b, with: a)
            try a.stop("immediate")
            try b.promote()
            try b.psql("insert into t values (2)", "select pg_switch_wal()")
            try group.wait(for: "the first segment of timeline 2 to be archived") {
                try group.archived().contains { $0.hasPrefix("00000002") }
            }
            let check = try b.tidemark(["check", "--only", "wal_continuity"])
            let control = try b.tool("pg_controldata", ["-D", b.data]).output
            let timeline = control.split(separator: "\n").first { $0.hasPrefix("Latest checkpoint's TimeLineID:") }
            #expect(timeline?.hasSuffix(" 1") == true, "the checkpoint was too fast: \(control)")
            #expect(check.ending == .exited(3) && check.output.contains("00000002.history"), "\(check)")
            let window = try b.tidemark(["check", "--only", "recovery_window"])
            #expect(window.ending == .exited(3), "\(window)")
            // The command that check offers.
            let offer = try #require(check.output.firstMatch(of: /archive-push .*history/))
            try b.tidemark(offer.output.split(separator: " ").map(String.init), expectSuccess: true)
            try b.tidemark(["check", "--only", "wal_continuity"], expectSuccess: true)
        }
    }

    /// Its control file names the new timeline only at its next restartpoint.
    @Test(arguments: TestServer.ends, ["on", "always"])
    func `a standby that has followed a promotion is on the new timeline at once`(
        _ server: TestServer, _ mode: String
    ) throws {
        let group = try ServerGroup(server)
        try group.accounted {
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a)
            let c = try group.addStandby("c", of: a, settings: ["archive_mode": mode])
            try a.psql("insert into t values (1)")
            for standby in [b, c] { try group.catchUp(standby, with: a) }
            try a.kill()
            try b.promote()
            try c.follow(b)
            try c.reload()
            for row in [2, 3] { try b.psql("insert into t values (\(row))", "select pg_switch_wal()") }
            try group.drain(b)
            try group.catchUp(c, with: b)
            try group.drain(c)
            let control = try c.tool("pg_controldata", ["-D", c.data]).output
            #expect(control.contains(/TimeLineID:\s+1\n/), "the case is not met: \(control)")
            for standby in ["streaming", "without its upstream"] {
                if standby != "streaming" {
                    try b.kill()
                    try group.wait(for: "the receiver to end") { try !c.isStreaming() }
                }
                let check = try c.tidemark(["check", "--only", "timelines"])
                #expect(check.ending == .exited(0), "\(standby): \(check)")
                guard standby == "streaming" else { continue }
                let rpo = try c.tidemark(["check", "--only", "rpo", "--only", "recovery_window"])
                #expect(rpo.ending == .exited(0) && rpo.output.contains("Every commit is in the"), "\(rpo)")
            }
        }
    }
}
