import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

@Suite(.serialized) struct PrefetchServerTests {
    /// A site with an archive of many small segments, and a copy of its data directory from before.
    private func archived(_ settings: [String], further: String = "") throws -> (TestSite, base: String) {
        let site = try TestSite(initdb: ["--wal-segsize=1"], configuration: settings)
        let base = try copyOfDataDirectory(site)
        try site.cluster.psql("create table t as select g, md5(g::text) as h from generate_series(1, 300000) g")
        if !further.isEmpty { try site.cluster.psql(further) }
        try site.archiveEverything()
        try site.cluster.stop()
        return (site, base)
    }

    /// Recovers, and records before every call what is in the spools.
    private func recover(_ base: String, _ site: TestSite, extra: String = "") throws -> (StandIn, notes: [Int]) {
        let recovered = try ArchivingServerTests.recover(base, site)
        let script = site.scratch.file("restore")
        try replaceDurably(
            script,
            bytes: Array(
                """
                #!/bin/sh
                ls \(site.scratch.file("state"))/main/spool/*/ 2>/dev/null | grep -c '^[0-9A-F]\\{24\\}$' >> \(site.scratch.file("notes"))
                \(extra)
                exec \(try Executables.tidemark()) archive-get --config \(site.configuration) "$1" "$2"

                """.utf8), mode: 0o755)
        chmod(script, 0o755)
        let file = base + "/postgresql.conf"
        try replaceDurably(file, bytes: try Files.read(file) + Array("restore_command = '\(script) %f %p'\n".utf8))
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", file]) }
        try recovered.start()
        return (recovered, try Files.readText(site.scratch.file("notes")).split(separator: "\n").compactMap { Int($0) })
    }

    private func spooled(_ site: TestSite) throws -> [String] {
        try run("/usr/bin/find", [site.scratch.file("state/main/spool"), "-type", "f", "-name", "0000*"])
            .output.split(separator: "\n").map(String.init)
    }

    /// Whether no prefetcher is running.
    private func isGone(_ site: TestSite) throws -> Bool {
        try run("/usr/bin/pgrep", ["-f", "archive-prefetch.*\(site.configuration)"]).ending != .exited(0)
    }

    @Test func `a recovery is served from a bounded spool, which is empty when it has ended`() throws {
        let (site, base) = try archived(["prefetch_segments = 4"])
        // However slow the prefetcher is, it gets ahead of a server that waits.
        let look = "ls \(site.scratch.file("state"))/main/spool/*/ 2>/dev/null | grep -c '^[0-9A-F]\\{24\\}$'"
        let notesFile = site.scratch.file("notes")
        let (recovered, notes) = try recover(
            base, site,
            extra: """
                if [ $(wc -l <\(notesFile)) -eq 10 ]; then
                    for _ in $(seq 3000); do [ $(\(look)) -gt 0 ] && break; sleep 0.1; done
                    \(look) >>\(notesFile)
                    find \(site.scratch.file("state"))/main/spool -mindepth 1 -printf '%y%m\\n' >\(notesFile).modes
                fi
                """)
        defer { try? recovered.stop() }
        // Whole segments lie there: nobody else may read them.
        let modes = Set(try Files.readText(notesFile + ".modes").split(separator: "\n").map(String.init))
        #expect(modes == ["d700", "f600"], "\(modes)")
        #expect(try recovered.psql("select count(*), sum(g) from t") == "300000|45000150000")
        #expect(notes.contains { $0 > 0 }, "nothing was fetched ahead")
        #expect(notes.allSatisfy { $0 <= 4 })
        try site.cluster.wait(for: "the prefetcher's end") {
            try spooled(site).isEmpty
                && isGone(site)
        }
    }

    @Test func `the spool's size bounds it as well, and 0 segments turn it off`() throws {
        for (settings, most) in [(["spool_size = 2MB"], 2), (["prefetch_segments = 0"], 0)] {
            let (site, base) = try archived(settings)
            let (recovered, notes) = try recover(base, site)
            defer { try? recovered.stop() }
            #expect(try recovered.psql("select count(*) from t") == "300000")
            #expect(notes.allSatisfy { $0 <= most })
        }
    }

    @Test func `prefetchers that are killed again and again cost nothing but time`() throws {
        let (site, base) = try archived([])
        let (recovered, _) = try recover(
            base, site,
            extra: "for process in $(pgrep -f 'archive-prefetch.*\(site.configuration)'); do kill -KILL $process; done")
        defer { try? recovered.stop() }
        #expect(try recovered.psql("select count(*), sum(g) from t") == "300000|45000150000")
    }

    @Test func `a prefetcher goes when its server is killed`() throws {
        let (site, base) = try archived([])
        let recovered = try ArchivingServerTests.recover(base, site)
        let file = base + "/postgresql.conf"
        let target = "recovery_target_name = 'nowhere'\n"
        try replaceDurably(
            file, bytes: try Files.read(file) + Array("hot_standby = on\n\(target)recovery_min_apply_delay = 0\n".utf8))
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", file]) }
        // It fails at the archive's end, since the target isn't reached; its prefetcher ends with it.
        try? recovered.start()
        try recovered.stop()
        try site.cluster.wait(for: "the prefetcher's end") {
            try spooled(site).isEmpty
                && isGone(site)
        }
    }

    @Test func `a prefetcher follows the requests wherever they jump, and goes when there are none for a minute`()
        throws
    {
        let (site, base) = try archived(
            ["prefetch_segments = 3"],
            further:
                "select pg_create_restore_point('middle'); insert into t select g from generate_series(1, 200000) g")
        let recovered = try ArchivingServerTests.recover(base, site)
        let file = base + "/postgresql.conf"
        let target = "hot_standby = on\nrecovery_target_name = 'middle'\nrecovery_target_action = 'pause'\n"
        try replaceDurably(file, bytes: try Files.read(file) + Array(target.utf8))
        if geteuid() == 0 { _ = try run("/bin/chown", ["postgres:", file]) }
        try runAsServerUser(
            recovered.server.bin + "/pg_ctl", ["-D", base, "-l", recovered.logFile, "-w", "-t", "300", "start"])
        defer { try? recovered.stop() }
        try wait(for: "the pause") { try recovered.psql("select pg_get_wal_replay_pause_state()") == "paused" }
        try wait(for: "a full spool") { try spooled(site).count == 3 }
        let names = try site.archive().segments(timeline: TimelineID(1))
        try #require(names.count > 10)
        let jump = names[names.count - 5]
        let script = "cd \"$0\" && exec \"$@\""
        try runAsServerUser(
            "/bin/sh",
            ["-c", script, base, Executables.tidemark(), "archive-get", "--config", site.configuration]
                + [jump.description, "pg_wal/by-hand"])
        let ahead = names[(names.count - 4)...(names.count - 2)].map(\.description)
        try wait(for: "what lies behind \(jump)") {
            try spooled(site).map(Files.name).sorted() == ahead && !isGone(site)
        }
        try runAsServerUser(
            "/bin/sh", ["-c", "touch -d '2 minutes ago' \"$0\"/*/request", site.scratch.file("state/main/spool")])
        try wait(for: "the prefetcher's end") { try spooled(site).isEmpty && isGone(site) }
    }
}
