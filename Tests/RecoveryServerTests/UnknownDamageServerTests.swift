import Platform
import Support
import Testing

/// Damage that no verification has found before a recovery in place: nothing is lost by trying.
@Suite struct UnknownDamageServerTests {
    /// A cluster with a tablespace, a backup, and `count` segments behind it, each with a row of its own.
    private func site(_ count: Int, settings: [String: String] = [:]) throws -> (site: TestSite, segments: [String]) {
        let site = try TestSite(settings: settings, initdb: ["--wal-segsize=1"])
        let space = site.scratch.file("space")
        try runAsServerUser("/bin/mkdir", [space])
        try site.cluster.psql("create tablespace s location '\(space)'")
        try site.cluster.psql("create table t (n int) tablespace s")
        try site.tidemark(["backup"], expectSuccess: true)
        var names: [String] = []
        for n in 1...count {
            try site.cluster.psql("insert into t select \(n)")
            names.append(try site.cluster.psql("select pg_walfile_name(pg_current_wal_lsn())"))
            if n == 2 { try site.cluster.psql("checkpoint") }
            try site.archiveEverything()
        }
        return (site, names)
    }

    private func object(_ site: TestSite, _ pattern: String) throws -> String {
        try #require(
            run("/usr/bin/find", [site.repository, "-path", pattern]).output.split(separator: "\n").first
                .map(String.init))
    }

    private func renamed(_ site: TestSite) throws -> [String] {
        try Files.list(site.cluster.directory).filter { $0.contains(".before-") }
    }

    private static let rows = "select string_agg(n::text, ' ' order by n) from t"

    /// Only the records of the segment in which it ends, or stops, are read for a plan.
    @Test(arguments: [false, true], ["latest", "time"])
    func `a plan that meets damage nobody knew of is refused with what can be reached`(
        isCut: Bool, target: String
    ) throws {
        let site = try site(4).site
        let moment = try site.cluster.psql("select now()")
        try site.cluster.psql("insert into t select 5")
        let last = try site.cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        try site.archiveEverything()
        let path = try object(site, "*/\(last).zst")
        let size = try FileStatus(of: path).size
        let cut = isCut ? "truncate -s \(size - 1) '\(path)'" : ":"
        try runAsServerUser("/bin/sh", ["-c", "chmod u+w '\(path)'; \(cut)"])
        if !isCut { try flipByte(of: path, at: size / 2) }
        let end = target == "latest" ? ["--target", "latest"] : ["--target-time", moment]
        for command in [["plan"], ["recover", "--data-directory", site.scratch.file("copy"), "--yes"]] {
            let refused = try site.tidemark(command + end)
            #expect(refused.ending == .exited(4), "\(refused)")
            #expect(refused.errors.contains("Segment \"\(last)\" cannot be read"), "\(refused)")
            #expect(refused.errors.contains("Reachable: --target-lsn"), "\(refused)")
        }
        // What ends before it isn't concerned.
        try site.tidemark(["plan", "--target", "immediate"], expectSuccess: true)
    }

    @Test(arguments: [false, true])
    func `the WAL is read before the old directory is renamed`(_ isDelta: Bool) throws {
        let (site, names) = try site(4, settings: ["wal_keep_size": "64MB"])
        let cluster = site.cluster
        try cluster.stop(mode: "immediate")
        // From before the last checkpoint: what is newer would be archived again.
        let path = try object(site, "*/\(names[0]).zst")
        try runAsServerUser("/bin/chmod", ["u+w", path])
        try flipByte(of: path, at: FileStatus(of: path).size / 2)
        let inode = try FileStatus(of: cluster.data).inode
        // Only reading it all tells.
        try site.tidemark(["plan", "--target", "latest"], expectSuccess: true)
        let recover = ["recover", "--target", "latest", "--start", "--yes"] + (isDelta ? ["--delta"] : [])
        let refused = try site.tidemark(recover)
        #expect(refused.ending == .exited(4), "\(refused)")
        #expect(refused.errors.contains("segment \"\(names[0])\" cannot be read"), "\(refused)")
        #expect(refused.errors.contains("Reachable: "), "\(refused)")
        #expect(try FileStatus(of: cluster.data).inode == inode)
        #expect(try renamed(site).isEmpty)
        // The server still has it.
        let offered = try #require(
            refused.errors.firstMatch(of: /"tidemark (archive-push [^"]+)"/)?.output.1, "\(refused)")
        try runAsServerUser("/bin/sh", ["-c", "cd / && \(Executables.tidemark()) \(offered)"])
        let recovered = try site.tidemark(recover)
        #expect(recovered.ending == .exited(0), "\(recovered)")
        #expect(try cluster.psql(Self.rows) == "1 2 3 4")
    }

    @Test func `a restore that fails says how to have the old directory back`() throws {
        let (site, _) = try site(2)
        let cluster = site.cluster
        try cluster.psql("insert into t select 3")
        try cluster.stop(mode: "immediate")
        let path = try object(site, "*/pack/*/000001")
        try runAsServerUser("/bin/chmod", ["u+w", path])
        try flipByte(of: path, at: FileStatus(of: path).size / 2)
        let failed = try site.tidemark(["recover", "--target", "latest", "--start", "--yes"])
        #expect(failed.ending == .exited(1), "\(failed)")
        #expect(try renamed(site).count == 1)
        // A second attempt says the same.
        let again = try site.tidemark(["recover", "--resume", "--data-directory", cluster.data, "--yes"])
        for told in [failed, again] {
            #expect(told.errors.contains("is brought back by: rm -rf "), "\(told)")
        }
        let command = try #require(
            again.errors.split(separator: "is brought back by: ").last?.split(separator: "\n").first)
        try runAsServerUser("/bin/sh", ["-ec", "cd /; \(command)"])
        #expect(try renamed(site).isEmpty)
        try cluster.start()
        #expect(try cluster.psql(Self.rows) == "1 2 3")
    }
}
