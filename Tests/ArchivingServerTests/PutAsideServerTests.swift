import Platform
import Repository
import Support
import Testing
import WAL

/// Commands offered by messages that take a stray part of the archive out of the way, run on real servers.
@Suite struct PutAsideServerTests {
    /// The words of a command that a message quotes, after `tidemark`.
    private func offered(_ text: String, _ start: String) throws -> [String] {
        let rest = try #require(text.components(after: "\"tidemark \(start)"), "\(text)")
        return (start + rest.prefix { $0 != "\"" }).split(separator: " ").map(String.init)
    }

    private func check(_ site: TestSite) throws -> Finished {
        try site.tidemark(["check", "--only", "archiving"])
    }

    private func waitUntilRefused(_ site: TestSite, _ segment: String) throws {
        try site.cluster.wait(for: "the archiver to fail with \(segment)") {
            try site.cluster.psql(
                "select last_failed_wal = '\(segment)' and last_failed_time > coalesce(last_archived_time, '-infinity') "
                    + "from pg_stat_archiver") == "t"
        }
    }

    @Test(arguments: TestServer.allCases)
    func `a server whose copy archived first is named by check within a minute, and can go on`(
        _ server: TestServer
    ) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select g from generate_series(1, 100) g")
        try site.archiveEverything()
        // A copy of the machine's version of the next segment: the same position, other records.
        let copy = site.scratch.file("copy")
        try site.cluster.stop()
        try runAsServerUser("/bin/cp", ["-a", site.cluster.data, copy], expectSuccess: true)
        let clone = { (arguments: [String]) throws -> Finished in
            try runAsServerUser(
                server.bin + "/pg_ctl", ["-D", copy, "-l", copy + ".log", "-w", "-o", "-p 5433"] + arguments)
        }
        let ask = { (sql: String) throws -> String in
            try runAsServerUser(
                server.bin + "/psql",
                ["-XAtq", "-h", site.cluster.directory, "-p", "5433", "-U", "postgres", "-c", sql]
            ).output.trimmed
        }
        _ = try clone(["start"])
        for sql in ["insert into t select g from generate_series(1, 500) g", "insert into t values (1)"] {
            _ = try ask(sql)
            _ = try ask("select pg_switch_wal()")
        }
        try site.cluster.wait(for: "the copy to archive") {
            try ask("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'") == "0"
        }
        _ = try clone(["-m", "fast", "stop"])

        try site.cluster.start()
        try site.cluster.psql("insert into t select -g from generate_series(1, 500) g")
        let own = try #require(SegmentName(try site.cluster.psql("select pg_walfile_name(pg_switch_wal())")))
        try waitUntilRefused(site, own.description)
        let alarm = try check(site)
        #expect(alarm.ending == .exited(3), "\(alarm)")
        #expect(alarm.output.contains("Archiving is stuck at \"\(own)\""), "\(alarm)")

        // The command offered by check works, any number of times.
        for _ in 0..<4 {
            let said = try check(site)
            guard said.ending != .exited(0) else { break }
            let words = try offered(said.output, "segments put-aside ")
            try site.tidemark(words + ["--yes"], expectSuccess: true)
            try site.cluster.psql("select pg_switch_wal()")
            // When nothing is waiting any more, the statistics soon show the last one.
            try site.cluster.wait(for: "the archiver to go on or to be refused again") {
                try site.cluster.psql(
                    "select (select count(*) = 0 from pg_ls_archive_statusdir() where name like '%.ready') "
                        + "and last_archived_time > last_failed_time "
                        + "or last_failed_wal <> '\(words[2])' from pg_stat_archiver") == "t"
            }
        }
        try site.archiveEverything()
        let verified = try site.tidemark(["verify", "--wal"])
        #expect(verified.ending == .exited(0), "\(verified)")
        // Nothing was deleted, and nothing deletes it.
        func aside() throws -> [Substring] {
            let found = try runAsServerUser(
                "/usr/bin/find", [site.repository, "-path", "*/aside/*", "-name", "\(own).zst"])
            return found.output.split(separator: "\n")
        }
        #expect(try aside().count == 1)
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        let expired = try site.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
        #expect(expired.output.contains("WAL removed"), "\(expired)")
        try site.tidemark(["clean"], expectSuccess: true)
        #expect(try aside().count == 1)
    }

    @Test(arguments: TestServer.allCases)
    func `WAL that the cluster needs is not put aside`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.archiveEverything()
        let current = try site.tidemark(["segments", "put-aside", "1", "--yes"])
        #expect(current.ending == .exited(1), "\(current)")
        #expect(current.errors.contains("is on timeline 1"), "\(current)")
        let name = try #require(
            try runAsServerUser("/bin/ls", [site.cluster.data + "/pg_wal"]).output.split(separator: "\n")
                .first { SegmentName(String($0)) != nil })
        let same = try site.tidemark(["segments", "put-aside", String(name), "--yes"])
        #expect(same.ending == .exited(1), "\(same)")
        let unknown = try site.tidemark(["segments", "put-aside", "0000000100000000000000FF", "--yes"])
        #expect(unknown.errors.contains("is not in the repository"), "\(unknown)")
        for words in [["put-aside"], ["put-aside", "nonsense"], ["put-off", "1"]] {
            #expect(try site.tidemark(["segments"] + words).ending == .exited(2), "\(words)")
        }
        let asked = try site.tidemark(["segments", "put-aside", "00000009.history"])
        #expect(asked.ending == .exited(1), "\(asked)")
        // A server that can't be asked is not reported as absent.
        let nowhere = site.scratch.file("nowhere")
        let unheard = try site.tidemark([
            "segments", "put-aside", String(name), "--yes", "--conninfo", "host=\(nowhere) user=postgres",
        ])
        #expect(unheard.ending == .exited(1) && unheard.errors.contains("could not be queried"), "\(unheard)")
        #expect(unheard.errors.contains(nowhere) && !unheard.errors.contains("none runs here"), "\(unheard)")
    }

    @Test(arguments: TestServer.allCases)
    func `an intact copy of a damaged segment lets the archiver go on`(_ server: TestServer) throws {
        let archive = try Archive(server, settings: ["archive_jobs = 1"])
        let name = archive.origin.segments[2].description
        let damaged = try archive.copy(name, as: name) { $0[500_000] ^= 1 }
        #expect(try archive.push(damaged).ending == .exited(1))
        try archive.push(archive.origin.wal(name), expectSuccess: true)
        try archive.push(damaged, expectSuccess: true)
    }
}

extension String {
    fileprivate var trimmed: String { String(split(separator: "\n").first ?? "") }

    /// The text after the first occurrence of `start`.
    fileprivate func components(after start: String) -> Substring? {
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(start) { return rest.dropFirst(start.count) }
            rest = rest.dropFirst()
        }
        return nil
    }
}
