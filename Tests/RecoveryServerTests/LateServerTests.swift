import Glibc
import Platform
import Support
import Testing

/// A server whose clock was an hour ahead for a while: its later commits have earlier times than those it made then,
/// and PostgreSQL stops at the first later time.
@Suite struct LateServerTests {
    @Test func `all transactions after the stop are counted, and the offered target includes them`() throws {
        let site = try TestSite(settings: ["autovacuum": "off"], initdb: ["--wal-segsize=1"])
        let clock = site.scratch.file("shifted-clock.so")
        let source = Files.parent(Files.parent(#filePath)) + "/BaseBackupServerTests/shifted-clock.c"
        let compiled = try run("cc", ["-O2", "-shared", "-fPIC", "-o", clock, source])
        try #require(compiled.ending == .exited(0), "\(compiled.errors)")
        chmod(clock, 0o755)
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
