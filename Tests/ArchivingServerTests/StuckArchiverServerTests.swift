import Platform
import Support
import Testing

/// The ways in which an archiver gets stuck. Some of them PostgreSQL doesn't count as failures.
@Suite struct StuckArchiverServerTests {
    /// PASS is the command that works, GATE a file that exists.
    private static let forms: [(name: String, command: String, says: String)] = [
        ("it fails", "false", "Archiving is stuck at"),
        ("it refuses by a wrapper", "PASS >/dev/null 2>&1; exit 3", "Archiving is stuck at"),
        ("its program is gone", "/nonexistent/tidemark archive-push %p", "nothing has been archived for"),
        ("it is killed", "kill -9 $$", "nothing has been archived for"),
        ("it hangs", "while [ -e GATE ]; do sleep 0.1; done; false", "nothing has been archived for"),
        ("it is empty", "", "nothing has been archived for"),
    ]

    @Test(arguments: TestServer.ends)
    func `whatever blocks the archiver is an alarm within a minute, and none when it is mended`(
        _ server: TestServer
    ) throws {
        let sites = try Self.forms.map { form in
            let site = try TestSite(server, initdb: ["--wal-segsize=1"])
            let gate = site.scratch.file("gate")
            try createDurably(gate, bytes: [], mode: 0o644)
            try site.archiveEverything()
            let pass = try site.cluster.psql("show archive_command")
            let command = form.command.replacing("GATE", with: gate).replacing("PASS", with: pass)
            try site.cluster.psql("alter system set archive_command = $q$\(command)$q$")
            try site.cluster.psql("select pg_reload_conf()")
            try site.cluster.wait(for: "the command to be in force") {
                try site.cluster.psql("show archive_command") == command
            }
            return site
        }
        for site in sites { try site.cluster.psql("create table t (i int); select pg_switch_wal()") }
        var silent = Array(zip(sites, Self.forms))
        try sites[0].cluster.wait(for: "check to see every archiver that is stuck") {
            silent = try silent.filter { site, form in
                let asked = Clock.now
                let said = try site.tidemark(["check", "--only", "archiving"])
                guard said.ending == .exited(3) else { return true }
                #expect(said.output.contains(form.says) && said.output.contains("→"), "\(form.name): \(said.output)")
                let status = site.cluster.data + "/pg_wal/archive_status"
                let waiting = try Files.list(status).filter { $0.hasSuffix(".ready") }.compactMap {
                    try FileStatus(ifPresent: "\(status)/\($0)")?.modified
                }.min()
                #expect(try asked - #require(waiting) < 60_000_000, "\(form.name): \(said.output)")
                return false
            }
            return silent.isEmpty
        }
        for (site, form) in zip(sites, Self.forms) {
            try Files.removeIfPresent(site.scratch.file("gate"))
            try site.cluster.psql("alter system reset archive_command")
            try site.cluster.restart()
            try site.archiveEverything()
            let said = try site.tidemark(["check", "--only", "archiving"])
            #expect(said.ending == .exited(0), "\(form.name): \(said)")
        }
    }

    /// There is no intact copy: the segment's WAL is lost, and the cluster must be able to continue without it.
    @Test(arguments: TestServer.ends)
    func `an archiver that is stuck at a damaged segment can go on without it`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        try cluster.psql("create table t (i int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try cluster.psql("alter system set archive_command = 'false'")
        try cluster.psql("select pg_reload_conf()")
        try cluster.psql("insert into t select generate_series(1, 5000)")
        let name = try cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        try cluster.psql("select pg_switch_wal()")
        let path = "\(cluster.data)/pg_wal/\(name)"
        try flipByte(of: path, at: 100_000)
        try cluster.psql("alter system reset archive_command")
        try cluster.restart()
        try cluster.psql("insert into t values (1); select pg_switch_wal()")
        try cluster.wait(for: "the archiver to be refused") {
            try cluster.psql("select last_failed_wal = '\(name)' from pg_stat_archiver") == "t"
                && site.tidemark(["check", "--only", "archiving"]).ending == .exited(3)
        }
        let said = try site.tidemark(["check", "--only", "archiving"])
        let offered = try #require(said.output.firstMatch(of: /"(mv [^"]+)"/), "\(said)")
        #expect(said.output.contains("is damaged at offset"), "\(said)")
        try runAsServerUser("/bin/sh", ["-c", "cd '\(cluster.data)' && \(offered.output.1)"], expectSuccess: true)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let after = try site.tidemark(["check", "--only", "archiving"])
        #expect(after.ending == .exited(0), "\(after)")
        // Every command reports the loss, and the present can be reached.
        let segments = try site.tidemark(["segments"])
        #expect(segments.ending == .exited(3) && segments.output.contains(name), "\(segments)")
        try site.tidemark(["check", "--only", "rpo"], expectSuccess: true)
        try site.tidemark(["plan", "--target", "latest"], expectSuccess: true)
    }
}
