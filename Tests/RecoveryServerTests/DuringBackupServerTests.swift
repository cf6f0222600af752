import Platform
import Support
import Testing

/// Targets between the beginning and the end of the only backup. A recovery can't stop before the backup is consistent.
@Suite struct DuringBackupServerTests {
    @Test(arguments: TestServer.ends)
    func `a time while the backup ran is reached if nothing was committed from it to the backup's end`(
        _ version: TestServer
    ) throws {
        let site = try TestSite(version, settings: ["autovacuum": "off"], initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (i int)")
        try site.cluster.psql("insert into t values (0)")
        let psql = "\(version.bin)/psql -h \(site.cluster.directory) -U postgres -d postgres -XAtq -c"
        let now = "\(psql) \"select 'at ' || (clock_timestamp() at time zone 'UTC') || '+00'\" >&2"
        let taken = try Gate(at: "read:/base/").run(
            Executables.directory.get() + "/tidemark-main", ["backup", "--json"],
            environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile: "\(now)\n\(psql) 'insert into t values (1)'\n\(now)")
        try #require(taken.ending == .exited(0), "\(taken)")
        let times = taken.errors.split(separator: "\n").filter { $0.hasPrefix("at ") }.map { String($0.dropFirst(3)) }
        try #require(times.count == 2, "\(taken)")
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()

        let between = ["--target-time", times[1]]
        let planned = try site.tidemark(["plan"] + between)
        try #require(planned.ending == .exited(0), "\(planned)")
        #expect(
            planned.output.contains("no transaction ended between the target and the backup's end"), "\(planned)")
        let copy = try RecoveredDirectory(site)
        let recovered = try copy.recover(between)
        try #require(recovered.ending == .exited(0), "\(recovered)")
        #expect(try RecoverAnswer(recovered.output).asPredicted == true)
        #expect(try copy.psql("select string_agg(i::text, ' ' order by i) from t") == "0 1")

        // PostgreSQL would start here, with a transaction that was committed later.
        let refused = try site.tidemark(["plan", "--target-time", times[0]])
        #expect(refused.ending == .exited(4), "\(refused)")
        #expect(refused.errors.contains("before it is consistent at"), "\(refused)")
        let offer = try #require(refused.errors.firstMatch(of: /(--target immediate --backup \S+) \(/)?.output.1)
        let words = offer.split(separator: " ").map(String.init)
        let end = try RecoveredDirectory(site)
        let ended = try end.recover(words)
        try #require(ended.ending == .exited(0), "\(ended)")
        #expect(try end.psql("select string_agg(i::text, ' ' order by i) from t") == "0 1")
    }
}
