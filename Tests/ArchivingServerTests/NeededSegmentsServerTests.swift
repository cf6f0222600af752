import Platform
import Support
import Testing

/// Segments of a server's own history are not put aside, whether they are in its pg_wal or recycled; segments that are
/// put aside nevertheless are reported, served to a recovery that asks for them, and put back.
@Suite struct NeededSegmentsServerTests {
    private func archived(_ site: TestSite) throws -> Set<String> {
        let found = try runAsServerUser(
            "/usr/bin/find", [site.repository, "-path", "*/wal/*", "-not", "-path", "*/aside/*", "-name", "*.zst"])
        return Set(found.output.split(separator: "\n").map(String.init))
    }

    @Test func `segments of the server's own history stay, unless --certain is given`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"], configuration: [])
        let cluster = site.cluster
        try cluster.psql("create table t (i int)")
        try site.tidemark(["backup"], expectSuccess: true)
        // Right after the backup's last segment, where expire leaves gaps.
        try cluster.psql("select pg_switch_wal()")
        let first = try cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        try cluster.wait(for: "\(first) to be recycled") {
            for _ in 0..<4 { try cluster.psql("insert into t values (1); select pg_switch_wal()") }
            try cluster.psql("checkpoint")
            return try !Files.exists("\(cluster.data)/pg_wal/\(first)")
        }
        try site.archiveEverything()
        let before = try archived(site)
        let last = try cluster.psql("select last_archived_wal from pg_stat_archiver")
        let place = "segments put-aside"
        for (arguments, words) in [
            ([first], "part of the history of the cluster"), ([first, "--following"], "part of the history"),
            ([last], "has this segment in its pg_wal"), ([last, "--following"], "has this segment in its pg_wal"),
            ([last, "--certain"], "has this segment in its pg_wal"),
            ([first, "--following", "--certain"], "has this segment in its pg_wal"),
        ] {
            let refused = try site.tidemark(place.split(separator: " ").map(String.init) + arguments + ["--yes"])
            #expect(refused.ending == .exited(1) && refused.errors.contains(words), "\(arguments): \(refused)")
            #expect(try archived(site) == before, "\(arguments)")
        }

        let aside = try site.tidemark(
            ["segments", "put-aside", first, "--certain", "--yes", "--reason", "test"], expectSuccess: true)
        #expect(aside.output.contains("put-back \(first)"), "\(aside)")
        let told = try site.tidemark(["segments"])
        #expect(told.ending == .exited(3), "\(told)")
        #expect(told.output.contains("They were put aside") && told.output.contains("put-back \(first)"), "\(told)")
        #expect(!told.output.contains("expire"), "\(told)")
        // Every command that names a remedy names that one.
        for command in [["check"], ["segments"], ["plan", "--target", "latest"], ["drill"]] {
            let told = try site.tidemark(command)
            let words = told.output + told.errors
            #expect(told.ending != .exited(0) && words.contains("put-back \(first)"), "\(command): \(told)")
            #expect(!words.contains("take a backup now"), "\(command): \(told)")
        }
        // Only a recovery that names the timeline reads it.
        #expect(try site.tidemark(["plan", "--target", "latest"]).ending != .exited(0))
        let plan = try site.tidemark(["plan", "--target", "latest", "--target-timeline", "1"], expectSuccess: true)
        #expect(plan.output.contains("WAL of timeline 1 was put aside"), "\(plan)")
        let got = site.scratch.file("got")
        #expect(try site.tidemark(["archive-get", first, got]).ending == .exited(1))
        try site.tidemark(["archive-get", "--put-aside", "1", first, got], expectSuccess: true)
        try site.tidemark(["archive-get", "--put-aside", "1", last, got], expectSuccess: true)

        try site.tidemark(["segments", "put-back", first, "--yes"], expectSuccess: true)
        #expect(try archived(site) == before)
        try site.tidemark(["segments"], expectSuccess: true)
        let planned = try site.tidemark(
            ["plan", "--target", "latest", "--target-timeline", "1"], expectSuccess: true)
        #expect(!planned.output.contains("was put aside"), "\(planned)")
        let records = try runAsServerUser(
            "/usr/bin/find", [site.repository, "-path", "*/aside/*", "-type", "f", "!", "-name", ".*"])
        #expect(
            records.output.split(separator: "\n").count == 1 && records.output.contains("record.json"), "\(records)")
        let record = try Files.readText(String(records.output.dropLast()))
        #expect(record.contains("\"why\" : \"test\"") && record.contains(first), "\(record)")
    }
}
