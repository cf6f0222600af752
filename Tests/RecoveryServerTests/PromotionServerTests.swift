import Platform
import Support
import Testing

/// The primary dies, its standby takes over and archives into the same repository.
@Suite(.serialized) struct PromotionServerTests {
    private static let rows = "select string_agg(n::text, ' ' order by n) from t"

    @Test(arguments: TestServer.ends)
    func `a promoted standby's timeline is followed, its primary's can be, and the dead primary joins it`(
        _ server: TestServer
    ) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int); insert into t values (1)")
        try site.tidemark(["backup"], expectSuccess: true)
        let standby = try RecoveredDirectory(site)
        let push = "\(try Executables.tidemark()) archive-push --config \(site.configuration) --cluster main %p"
        var finished = try standby.recover([
            "--target", "latest", "--standby", "--set", "archive_mode=on", "--set", "archive_command=\(push)",
        ])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()
        try site.cluster.wait(for: "the standby to follow") { try standby.psql(Self.rows) == "1 2" }
        // Only the primary's last segment has this; nothing copies it before the primary dies.
        try site.cluster.psql("insert into t values (3)")
        try site.cluster.stop(mode: "immediate")

        #expect(try standby.psql("select pg_promote(true, 600)") == "t")
        _ = try standby.psql("insert into t values (4)")
        func archiveEverything() throws {
            _ = try standby.psql("select pg_switch_wal()")
            try site.cluster.wait(for: "the new primary to archive") {
                try standby.psql("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'") == "0"
            }
        }
        try archiveEverything()
        for (timeline, rows) in [("latest", "1 2 4"), ("1", "1 2"), ("2", "1 2 4")] {
            let directory = try RecoveredDirectory(site)
            finished = try directory.recover(["--target", "latest", "--target-timeline", timeline])
            try #require(finished.ending == .exited(0), "\(timeline): \(finished.errors)")
            #expect(try RecoverAnswer(finished.output).asPredicted == true)
            #expect(try directory.psql(Self.rows) == rows, "timeline \(timeline)")
        }

        // The dead primary's directory gives its own timeline; the plan names the one that continued without it.
        let own = try site.tidemark(["plan", "--target", "latest"])
        #expect(own.output.contains("Timeline 2 is not followed") && own.output.contains("--target-timeline 2"))
        // In place: WAL that only the dead primary has is archived apart, and stays reachable along its timeline.
        try archiveEverything()
        finished = try site.tidemark([
            "recover", "--target", "latest", "--target-timeline", "latest", "--start", "--yes", "--json",
        ])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try RecoverAnswer(finished.output).asPredicted == true)
        #expect(try site.cluster.psql(Self.rows) == "1 2 4")
        let alone = try RecoveredDirectory(site)
        finished = try alone.recover(["--target", "latest", "--target-timeline", "1", "--use-partial"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try alone.psql(Self.rows) == "1 2 3")
    }
}
