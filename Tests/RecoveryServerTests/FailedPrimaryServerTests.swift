import Platform
import Support
import Testing

/// What `recover --standby` makes of a primary whose standby has taken over.
@Suite(.serialized) struct FailedPrimaryServerTests {
    /// A primary that died with WAL that its standby never received, and the standby that took over and archives.
    ///
    /// - Parameter hasCommits: whether that WAL has a transaction.
    private func failOver(_ server: TestServer, hasCommits: Bool = true) throws -> (site: TestSite, standby: Sibling) {
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
        try a.psql(hasCommits ? "insert into t values (900)" : "checkpoint")
        try a.stop(mode: "immediate")
        try b.start()
        try b.run("pg_ctl", ["-D", b.path, "-w", "-t", "600", "-s", "promote"])
        _ = try b.psql("insert into t values (2)")
        _ = try b.psql("select pg_switch_wal()")
        try a.wait(for: "the new primary to archive") {
            try b.psql("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'") == "0"
        }
        return (site, b)
    }

    @Test(arguments: [TestServer.v15, .v18])
    func `a failed primary becomes a standby on the new primary's timeline, as planned`(_ server: TestServer) throws {
        let (site, b) = try failOver(server)
        let a = site.cluster
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

    private struct Planned: Decodable {
        struct Target: Decodable { let timeline: String }
        let target: Target
        let warnings: [String]
    }

    private static func told(_ words: [String], _ site: TestSite) throws -> Planned {
        let finished = try site.tidemark(words + ["--json"])
        try #require(finished.ending == .exited(0), "\(words): \(finished)")
        return try RecoverAnswer.decode(Planned.self, finished.output)
    }

    /// Its own directory decides, whatever is in the archive, and what the archive has beside is told.
    @Test(arguments: [(TestServer.v15, true), (.v15, false), (.v18, true)])
    func `plan and recover follow the failed primary's own timeline, and say so`(
        _ server: TestServer, _ hasCommits: Bool
    ) throws {
        let (site, b) = try failOver(server, hasCommits: hasCommits)
        func told(_ words: [String]) throws -> Planned { try Self.told(words, site) }
        let latest = ["--target", "latest"]
        let planned = try told(["plan"] + latest)
        let dry = try told(["recover", "--dry-run", "--start"] + latest)
        for answer in [planned, dry] {
            #expect(answer.target.timeline == "1", "\(answer)")
            #expect(
                answer.warnings.contains {
                    $0.contains("Timeline 2 is not followed")
                        && $0.contains("Data directory \"\(site.cluster.data)\" was on timeline 1")
                        && $0.contains("--target latest --target-timeline 2")
                }, "\(answer.warnings)")
        }
        #expect(planned.warnings == dry.warnings)
        // What both offer.
        for command in [["plan"], ["recover", "--dry-run", "--start"]] {
            #expect(try told(command + latest + ["--target-timeline", "2"]).target.timeline == "2")
        }
        try b.run("pg_ctl", ["-D", b.path, "-m", "fast", "-w", "-t", "600", "-s", "stop"])
        let recovered = try site.tidemark(["recover", "--start", "--yes", "--json"] + latest)
        try #require(recovered.ending == .exited(0), "\(recovered)")
        #expect(try RecoverAnswer(recovered.output).asPredicted == true)
        let rows = try site.cluster.psql("select string_agg(n::text, ' ' order by n) from t")
        #expect(rows == (hasCommits ? "1 900" : "1"))
    }
}
