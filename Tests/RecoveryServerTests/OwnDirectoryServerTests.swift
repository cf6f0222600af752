import Glibc
import Platform
import Support
import Testing

/// A recovery into the cluster's own directory: it is recognized under every path, and neither another cluster's
/// directory nor a running server's is mistaken for it.
@Suite(.serialized) struct OwnDirectoryServerTests {
    /// A site with a backup, whose server dies with rows that only its last, unarchived segments hold.
    private func deadSite() throws -> (site: TestSite, rows: String) {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.psql("alter system set archive_command = '/bin/false'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.wait(for: "the setting") { try site.cluster.psql("show archive_command") == "/bin/false" }
        try site.cluster.psql("insert into t select generate_series(1, 1000)")
        try site.cluster.psql("select pg_switch_wal()")
        try site.cluster.psql("insert into t select generate_series(1001, 1010)")
        let rows = try site.cluster.psql("select count(*) from t")
        try site.cluster.stop(mode: "immediate")
        return (site, rows)
    }

    @Test func `the cluster's own directory is recognised however it is spelled`() throws {
        let (site, rows) = try deadSite()
        let data = site.cluster.data
        let (parent, name) = (Files.parent(data), Files.name(data))
        let link = site.scratch.file("link")
        #expect(symlink(parent, link) == 0)
        let direct = site.scratch.file("direct")
        #expect(symlink(data, direct) == 0)
        let spellings = [
            "\(parent)//\(name)", "\(parent)/./\(name)", "\(data)/", "\(data)/.", "\(parent)/\(name)/../\(name)",
            "\(link)/\(name)", direct, direct + "/",
        ]
        let recover = ["recover", "--target", "latest"]
        for spelling in spellings {
            let planned = try site.tidemark(recover + ["--dry-run", "--data-directory", spelling])
            #expect(planned.ending == .exited(0), "\(spelling): \(planned)")
            let isOwn = planned.output.contains("as configured: \"\(data)\" is the cluster's own")
            #expect(isOwn, "\(spelling): \(planned)")
        }
        // WAL that only its pg_wal has is archived before anything is overwritten.
        let finished = try site.tidemark(
            recover + ["--delta", "--start", "--yes", "--data-directory", "\(link)/\(name)"])
        try #require(finished.ending == .exited(0), "\(finished)")
        #expect(try site.cluster.psql("select count(*) from t") == rows)
        #expect(try site.cluster.psql("show archive_mode") == "on")
    }

    @Test func `two names of one directory exclude each other`() throws {
        let (site, _) = try deadSite()
        let link = site.scratch.file("link")
        #expect(symlink(Files.parent(site.cluster.data), link) == 0)
        let gate = try Gate(at: "rename:/tidemark-cluster-")
        let other = "\(link)/\(Files.name(site.cluster.data))"
        let finished = try gate.run(
            Executables.tidemark(),
            ["recover", "--target", "latest", "--yes", "--config", site.configuration],
            meanwhile: """
                '\(try Executables.tidemark())' recover --target latest --yes --config '\(site.configuration)' \
                    --data-directory '\(other)'; echo "second $?"
                """)
        #expect((finished.output + finished.errors).contains("another process recovers into directory"), "\(finished)")
        #expect(finished.output.contains("second 1"), "\(finished)")
        #expect(finished.ending == .exited(0), "\(finished)")
    }

    @Test func `a server that is started while its directory is renamed keeps it`() throws {
        let (site, rows) = try deadSite()
        let gate = try Gate(at: "rename:/tidemark-cluster-")
        let finished = try gate.run(
            Executables.tidemark(), ["recover", "--target", "latest", "--yes", "--config", site.configuration],
            meanwhile: """
                '\(site.cluster.server.bin)/pg_ctl' -D '\(site.cluster.data)' -l '\(site.cluster.logFile)' -w -t 300 start
                """)
        #expect(finished.ending == .exited(1), "\(finished)")
        #expect(finished.errors.contains("A server is running on it"), "\(finished)")
        #expect(try site.cluster.psql("select count(*) from t") == rows)
        let names = try Files.list(site.cluster.directory)
        #expect(!names.contains { $0.contains(".before-") }, "\(names)")
        try site.cluster.stop()
    }

    @Test func `a directory in the restored one's place is not taken for it`() throws {
        let (site, _) = try deadSite()
        // In place, WAL that only it has is archived, its last segment as .partial.
        try site.tidemark(["recover", "--target", "latest", "--yes"], expectSuccess: true)
        // Killed when all was restored and nothing started.
        let directory = try RecoveredDirectory(site)
        let killed = try site.tidemark(
            ["recover", "--target", "latest", "--start", "--yes", "--data-directory", directory.path],
            environment: ["TIDEMARK_FAULT": "unlink:tidemark.restoring=kill"])
        try #require(killed.errors.contains("fault: killed"), "\(killed)")
        let resume = ["recover", "--resume", "--data-directory", directory.path]
        func replace(_ script: String) throws {
            try runAsServerUser("/bin/sh", ["-ec", script, "sh", directory.path])
        }
        let cases: [(script: String, says: String)] = [
            ("mv \"$1\" \"$1.kept\"; cp -a \"$1.kept\" \"$1\"", "Another directory has taken its place since."),
            (
                "rm -rf \"$1\"; '\(site.cluster.server.bin)/initdb' -D \"$1\" >/dev/null",
                "Its cluster has system identifier"
            ),
        ]
        for other in cases {
            try replace(other.script)
            let before = try Files.readText(directory.path + "/postgresql.auto.conf")
            let refused = try site.tidemark(resume)
            #expect(refused.ending == .exited(1), "\(refused)")
            #expect(refused.errors.contains("is not the one that was restored"), "\(refused)")
            #expect(refused.errors.contains(other.says), "\(refused)")
            #expect(try Files.readText(directory.path + "/postgresql.auto.conf") == before)
            #expect(try !Files.exists(directory.path + "/postmaster.pid"))
        }
        try replace("rm -rf \"$1\"; mv \"$1.kept\" \"$1\"")
        let finished = try site.tidemark(resume)
        #expect(finished.ending == .exited(0), "\(finished)")
        #expect(finished.output.contains("As predicted"), "\(finished)")
        // Without the .partial.
        #expect(try directory.psql("select count(*) from t") == "1000")
    }
}
