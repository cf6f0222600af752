import Platform
import Support
import Testing

/// A promoted server's first checkpoint may take minutes. What is said of its archive is about its own timeline from the first
/// moment.
@Suite struct FreshPromotionServerTests {
    @Test(arguments: TestServer.allCases)
    func `what check says right after a promotion is of the new timeline`(_ version: TestServer) throws {
        let group = try ServerGroup(
            version,
            settings: [
                "checkpoint_completion_target": "0.9", "bgwriter_lru_maxpages": "0", "max_wal_size": "1GB",
                "wal_keep_size": "64MB",
            ])
        try group.accounted {
            let a = try group.addPrimary()
            try a.psql("create table t (i int)")
            try a.tidemark(["backup"], expectSuccess: true)
            let push = "\(try Executables.tidemark()) archive-push --config \(group.directory)/b.conf"
            let b = try group.addStandby(
                "b", of: a, settings: ["archive_command": "'case %f in *.history) exit 0;; esac; \(push) %p'"])
            // A page of a checkpoint that isn't in a hurry takes a tenth of a second.
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
            // What check offers.
            let offer = try #require(check.output.firstMatch(of: /archive-push .*history/))
            try b.tidemark(offer.output.split(separator: " ").map(String.init), expectSuccess: true)
            try b.tidemark(["check", "--only", "wal_continuity"], expectSuccess: true)
        }
    }
}
