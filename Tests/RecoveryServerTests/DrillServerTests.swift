import Glibc
import Platform
import Support
import Testing

@Suite(.serialized) struct DrillServerTests {
    @Test func `a drill recovers, checks, records and leaves nothing behind`() throws {
        let site = try TestSite(
            initdb: ["--wal-segsize=1", "--data-checksums"],
            configuration: [
                "drill_sql = 'select count(*) > 5 from t; select true, n > 0 from t where n = 1'",
                "drill_min_rows = 'public.t=10'",
            ])
        try site.cluster.psql("create table t (n int primary key)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t select generate_series(1, 10)")
        try site.archiveEverything()
        let passed = try site.tidemark(["drill"])
        #expect(passed.ending == .exited(0), "\(passed.errors)\(passed.output)")
        #expect(passed.output.contains("The drill passed."))
        #expect(passed.output.contains("pg_amcheck looked at every database."))
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
        let incarnation = try Files.list(site.repository + "/main")[0]
        let records = try Files.list("\(site.repository)/main/\(incarnation)/recovery")
        #expect(records.count == 1)
        #expect(records[0].contains("-drill-"))
        #expect(try site.tidemark(["history", "--json"]).output.contains("\"seconds\""))
        // The server that is alive noticed nothing.
        #expect(try site.cluster.psql("show archive_mode") == "on")

        // A drill that ends before the rows were there finds them missing, and tells.
        let told = site.scratch.file("told")
        let alarm = "[notify]\nevents = 'drill_failure'\ncommand = 'cat >> \(told)'\n"
        try replaceDurably(
            site.configuration, bytes: Array((try Files.readText(site.configuration) + alarm).utf8), mode: 0o644)
        let empty = try site.tidemark(["drill", "--target", "immediate"])
        #expect(empty.ending == .exited(3), "\(empty.errors)")
        #expect(empty.output.contains("PROBLEM: Query \"select count(*) > 5 from t\" returned f instead of true."))
        #expect(empty.output.contains("PROBLEM: Table public.t has 0 rows; at least 10 were expected."))
        #expect(try Files.list(site.scratch.file("state/scratch")) == [])
        try site.cluster.wait(for: "the alarm") {
            try Files.exists(told) && Files.readText(told).contains("\"event\":\"drill_failure\"")
        }

        // Interrupted in the middle of its restore, it leaves nothing either.
        let ended = try Gate(at: "write:60").run(
            Executables.tidemark(), ["drill", "--config", site.configuration],
            meanwhile: "kill -s TERM $process; wait $process; exit")
        #expect(ended.ending == .exited(130), "\(ended.errors)")
        #expect(try Files.listIfPresent(site.scratch.file("state/scratch")) == [])

        let random = try site.tidemark(["drill", "--random"])
        #expect([.exited(0), .exited(3)].contains(random.ending), "\(random.errors)")
    }

    @Test func `a drill without room is refused before it begins`() throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let scratch = try Scratch()
        let mounted = try run("/bin/mount", ["-t", "tmpfs", "-o", "size=8m,mode=0777", "tidemark-test", scratch.path])
        try #require(mounted.ending == .exited(0), "\(mounted.errors)")
        defer { _ = try? run("/bin/umount", ["-l", scratch.path]) }
        let refused = try site.tidemark(["drill", "--scratch-directory", scratch.path])
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("not enough space for a drill in \"\(scratch.path)\""), "\(refused.errors)")
        #expect(refused.errors.contains(" kB are free."), "\(refused.errors)")
        #expect(try Files.list(scratch.path) == [])
    }
}
