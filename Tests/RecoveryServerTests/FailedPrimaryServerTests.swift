import Platform
import Support
import Testing

/// What `recover --standby` makes of a primary whose standby has taken over.
@Suite(.serialized) struct FailedPrimaryServerTests {
    @Test(arguments: [TestServer.v15, .v18])
    func `a failed primary becomes a standby on the new primary's timeline, as planned`(_ server: TestServer) throws {
        let site = try TestSite(
            server, settings: ["hot_standby": "on", "max_wal_senders": "10", "wal_keep_size": "'64MB'"],
            initdb: ["--wal-segsize=1"])
        let a = site.cluster
        try a.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        let b = try Sibling(site)
        let upstream = "host=\(a.directory) user=postgres"
        try b.run("pg_basebackup", ["-D", b.path, "-h", a.directory, "-U", "postgres", "-c", "fast", "-X", "stream"])
        try b.follow(upstream)
        try b.start()
        try a.psql("insert into t values (1)")
        try site.archiveEverything()
        try b.wait(for: "1", "streaming")
        try b.run("pg_ctl", ["-D", b.path, "-m", "fast", "-w", "-t", "600", "-s", "stop"])
        // The standby never receives this.
        try a.psql("insert into t values (900)")
        try a.stop(mode: "immediate")
        try b.start()
        try b.run("pg_ctl", ["-D", b.path, "-w", "-t", "600", "-s", "promote"])
        _ = try b.psql("insert into t values (2)")
        _ = try b.psql("select pg_switch_wal()")
        try a.wait(for: "the new primary to archive") {
            try b.psql("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'") == "0"
        }

        let recovered = try site.tidemark([
            "recover", "--target", "latest", "--standby", "--start", "--yes", "--json", "--set",
            "primary_conninfo=\(b.conninfo)",
        ])
        try #require(recovered.ending == .exited(0), "\(recovered.errors)")
        let answer = try RecoverAnswer(recovered.output)
        let said = (answer.plan.warnings + answer.remarks).joined(separator: "\n")
        #expect(said.contains("was on timeline 1, up to LSN "), "\(said)")
        #expect(said.contains("The standby follows timeline 2,"), "\(said)")
        #expect(!said.contains("put-aside") && !said.contains("is not followed"), "\(said)")
        _ = try b.psql("insert into t values (3)")
        try a.wait(for: "the failed primary to follow") {
            try a.psql("select string_agg(n::text, ' ' order by n) from t") == "1 2 3"
        }
        #expect(try a.psql("select pg_is_in_recovery()") == "t")
    }
}
