import Platform
import Support
import Testing

/// Damage to the WAL that a backup begins in leaves nothing to recover, and nothing to offer.
@Suite struct DamagedBeginningServerTests {
    @Test(arguments: ["immediate", "latest", "time", "window"], [1, 2])
    func `a backup whose first segment is damaged is refused`(target: String, backups: Int) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...backups { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        try site.cluster.psql("create table t (n int)")
        let time = try site.cluster.psql("select clock_timestamp() from pg_sleep(0.05)")
        try site.cluster.psql("insert into t values (1)")
        try site.archiveEverything()
        for label in try site.backupLabels() {
            let shown = try site.tidemark(["show", label, "--json"], expectSuccess: true).output
            let first = String(try #require(shown.firstMatch(of: /"first_wal" : "([0-9A-F]{24})"/)).1)
            let found = try run("/usr/bin/find", [site.repository, "-name", first + ".zst"]).output
            try runAsServerUser("/bin/chmod", ["u+w", String(found.dropLast())], expectSuccess: true)
            try flipByte(of: String(found.dropLast()), at: 20)
        }
        let command =
            switch target {
            case "window": ["window"]
            case "time": ["plan", "--target-time", time]
            default: ["plan", "--target", target]
            }
        let told = try site.tidemark(command)
        #expect(told.ending == .exited(target == "window" ? 3 : 4), "\(told)")
    }
}
