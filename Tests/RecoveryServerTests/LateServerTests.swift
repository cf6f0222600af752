import Glibc
import Platform
import Support
import Testing

struct TakenBackup: Decodable {
    let label: String
}

/// A server whose clock was an hour ahead for a while: its later commits have earlier times than those it made then,
/// and PostgreSQL stops at the first later time.
@Suite struct LateServerTests {
    /// A library that shifts a server's clock.
    private func shiftedClock(_ site: TestSite) throws -> String {
        let clock = site.scratch.file("shifted-clock.so")
        let source = Files.parent(Files.parent(#filePath)) + "/BaseBackupServerTests/shifted-clock.c"
        let compiled = try run("cc", ["-O2", "-shared", "-fPIC", "-o", clock, source])
        try #require(compiled.ending == .exited(0), "\(compiled.errors)")
        chmod(clock, 0o755)
        return clock
    }

    /// The newest backup began after the clock had been corrected, and no later transaction is as late as the target.
    @Test(arguments: TestServer.ends)
    func `a time by a clock that was set back later is reached from the backup before it`(
        _ version: TestServer
    ) throws {
        let site = try TestSite(version, settings: ["autovacuum": "off"], initdb: ["--wal-segsize=1"])
        let clock = try shiftedClock(site)
        try site.cluster.psql("create table t (i int)")
        let older = try RecoverAnswer.decode(
            TakenBackup.self, site.tidemark(["backup", "--json"], expectSuccess: true).output
        ).label
        try site.cluster.stop()
        try site.cluster.start(environment: ["LD_PRELOAD": clock, "CLOCK_AHEAD": "600"])
        try site.cluster.psql("insert into t values (1)")
        let fast = try site.cluster.psql("select clock_timestamp() at time zone 'UTC'") + "+00"
        try site.cluster.psql("insert into t values (2)")
        try site.cluster.stop()
        try site.cluster.start()
        try site.cluster.psql("insert into t values (3)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (4)")
        let now = try site.cluster.psql("select clock_timestamp() at time zone 'UTC'") + "+00"
        try site.cluster.psql("insert into t values (5)")
        try site.archiveEverything()
        for (time, rows) in [(fast, "1"), (now, "1 2 3 4")] {
            let target = ["--target-time", time]
            let planned = try site.tidemark(["plan", "--json"] + target)
            try #require(planned.ending == .exited(0), "\(planned)")
            #expect(planned.output.contains(older) == (time == fast), "\(planned)")
            let copy = try RecoveredDirectory(site)
            let recovered = try copy.recover(target)
            try #require(recovered.ending == .exited(0), "\(recovered)")
            #expect(try RecoverAnswer(recovered.output).asPredicted == true)
            #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == rows)
        }
        // Later than all that was ever committed, and before every backup: the reason is true of all of them.
        let late = try site.tidemark(["plan", "--target-time", "2100-01-01 00:00 UTC"])
        #expect(late.ending == .exited(4) && late.errors.contains("The last transaction in the archive"), "\(late)")
        let early = try site.tidemark(["plan", "--target-time", "2020-01-01 00:00 UTC"])
        #expect(early.ending == .exited(4) && early.errors.contains("\"\(older)\", ended at"), "\(early)")
    }

    @Test func `all transactions after the stop are counted, and the offered target includes them`() throws {
        let site = try TestSite(settings: ["autovacuum": "off"], initdb: ["--wal-segsize=1"])
        let clock = try shiftedClock(site)
        try site.cluster.psql("create table t (i int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.stop()
        try site.cluster.start(environment: ["LD_PRELOAD": clock, "CLOCK_AHEAD": "3600"])
        try site.cluster.psql("insert into t values (0)")
        try site.cluster.stop()
        try site.cluster.start()
        let begin = try site.cluster.psql("select pg_current_wal_lsn()")
        try site.cluster.psql(
            """
            do $$ begin
                for i in 1..400 loop
                    insert into t values (i); perform pg_logical_emit_message(true, 'test', repeat('x', 30000)); commit;
                end loop;
            end $$
            """)
        let last = try site.cluster.psql("select max(xmin::text::bigint) from t")
        let time = try site.cluster.psql("select clock_timestamp() at time zone 'UTC'") + "+00"
        try site.archiveEverything()
        #expect(try site.cluster.psql("select pg_current_wal_lsn() - '\(begin)'::pg_lsn > 10 * 1048576") == "t")
        // With the catalog, and without.
        for options in [[], ["--state-directory", "/proc/nothing"]] {
            let planned = try site.tidemark(["plan", "--target-time", time] + options, expectSuccess: true)
            #expect(
                planned.output.contains("400 transactions with a commit time before the target follow"),
                "\(planned.output)")
            let offer = try #require(
                planned.output.firstMatch(of: #/Use (--target-lsn [0-9A-F\/]+) to include them/#)?.1,
                "\(planned.output)")
            let included = try site.tidemark(
                ["plan"] + offer.split(separator: " ").map(String.init), expectSuccess: true)
            #expect(
                included.output.split(separator: "\n").contains { $0.hasPrefix("last included") && $0.contains(last) },
                "\(included.output)")
        }
    }
}
