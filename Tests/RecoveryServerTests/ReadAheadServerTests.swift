import Platform
import Support
import Testing
import WAL

/// Something is wrong with a segment behind the one where the recovery stops. Since version 15 a server reads ahead of
/// its replay, and would die of what it doesn't need.
@Suite struct ReadAheadServerTests {
    struct Damage: Sendable {
        let name: String
        /// What happens to the segment's object in the repository.
        let apply: @Sendable (String) throws -> Void
        /// Whether a server that asks for the segment would stop.
        var stops = true
    }

    static let damages = [
        Damage(name: "head") { try flipByte(of: $0, at: 20) },
        Damage(name: "body") { try flipByte(of: $0, at: FileStatus(of: $0).size / 2) },
        Damage(name: "seal") { try flipByte(of: $0, at: FileStatus(of: $0).size - 1) },
        Damage(name: "empty") { try runAsServerUser("/usr/bin/truncate", ["-s", "0", $0], expectSuccess: true) },
        Damage(name: "missing", apply: { try Files.remove($0) }, stops: false),
        Damage(name: "none", apply: { _ in }, stops: false),
    ]
    private static let targets: [RecoveryGoal] = [.immediate, .time, .lsn, .xid, .name]

    /// Which damage is tried with which target on which version; each with each on one.
    struct Row: Sendable {
        let server: TestServer
        let damage: Damage
        let targets: [RecoveryGoal]
    }
    static let rows = TestServer.allCases.flatMap { server in
        damages.filter { server == .v15 || ["head", "body"].contains($0.name) }.map { damage in
            Row(
                server: server, damage: damage,
                targets: server == .v15 ? targets : damage.name == "head" ? [.time] : [.immediate, .name])
        }
    }

    /// A backup and what every kind of target names, all in one segment; then segments that nothing before needs.
    final class Past {
        let site: TestSite
        let targets: [RecoveryGoal: [String]]
        /// The object of the first segment behind those that the targets need.
        let next: String

        init(_ server: TestServer, settings: [String: String] = [:]) throws {
            site = try TestSite(server, settings: settings, initdb: ["--wal-segsize=1"])
            let cluster = site.cluster
            targets = try site.makePast()
            try cluster.psql("insert into t values (5)")
            let name = try cluster.psql("select pg_walfile_name(pg_current_wal_insert_lsn())")
            for _ in 1...3 {
                try site.archiveEverything()
                try cluster.psql("insert into t values (6)")
            }
            try site.archiveEverything()
            let found = try run("/usr/bin/find", [site.repository, "-name", name + ".zst"]).output.trimmed
            try runAsServerUser("/bin/chmod", ["u+w", found], expectSuccess: true)
            next = found
        }
    }

    @Test(arguments: rows)
    func `a recovery doesn't need what lies behind its end`(_ row: Row) throws {
        // The original may have asked for it itself.
        let past = try Past(row.server, settings: ["recovery_prefetch": "on"])
        try row.damage.apply(past.next)
        for target in row.targets {
            let copy = try RecoveredDirectory(past.site)
            let finished = try copy.recover(past.targets[target]!)
            try #require(finished.ending == .exited(0), "\(row.damage.name), \(target): \(finished.errors)\(copy.log)")
            let answer = try RecoverAnswer(finished.output)
            #expect(answer.asPredicted == true, "\(row.damage.name), \(target): \(finished.output)")
            #expect(
                answer.plan.settings["recovery_prefetch"] == (row.damage.stops ? "off" : nil),
                "\(row.damage.name), \(target)")
            #expect(
                answer.plan.warnings.contains { $0.contains("recovery_prefetch = off") } == row.damage.stops,
                "\(row.damage.name), \(target): \(answer.plan.warnings)")
            #expect(try LeftoverServerTests.left(in: copy.path) == [], "\(row.damage.name), \(target)")
        }
    }

    /// Ways to recover that make settings of their own, or make them again.
    @Test func `neither do a drill, a recovered table, and a recovery that pauses, shuts down or is in place`() throws {
        let past = try Past(.v15)
        let (site, time) = (past.site, past.targets[.time]!)
        let directory = try RecoveredDirectory(site).path
        try flipByte(of: past.next, at: FileStatus(of: past.next).size / 2)
        let drill = try site.tidemark(["drill"] + time)
        #expect(drill.ending == .exited(0), "\(drill)")
        let table = try site.tidemark(
            ["recover-table"] + time + ["--table", "postgres.public.t", "--into-table=public.back", "--yes"])
        #expect(table.ending == .exited(0), "\(table)")
        #expect(try site.cluster.psql("select string_agg(n::text, ' ' order by n) from back") == "1 2 3")
        for action in ["pause", "shutdown"] {
            let copy = try RecoveredDirectory(site)
            let finished = try copy.recover(time + ["--target-action", action])
            #expect(finished.ending == .exited(0), "\(action): \(finished.errors)\(copy.log)")
        }
        // A choice of the user's own counts, and is told.
        let chosen = try site.tidemark(
            ["recover", "--dry-run", "--data-directory", directory, "--set", "recovery_prefetch=try"] + time)
        #expect(chosen.output.contains("leave out --set recovery_prefetch=try"), "\(chosen)")
        let standby = try site.tidemark(
            ["recover", "--dry-run", "--standby", "--data-directory", directory] + time)
        #expect(standby.output.contains("A standby continues to replay, and stops there."), "\(standby)")
        try site.cluster.stop()
        let finished = try site.tidemark(["recover", "--start", "--yes"] + time)
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try site.cluster.psql("select count(*) from t") == "3")
        #expect(try LeftoverServerTests.left(in: site.cluster.data) == [])
    }

    /// Its settings are made again.
    @Test func `a segment that is damaged after the plan was made doesn't end a recovery that is resumed`() throws {
        let past = try Past(.v15)
        let copy = try RecoveredDirectory(past.site)
        let failed = try copy.recover(past.targets[.time]! + ["--set", "shared_buffers=900TB"])
        #expect(failed.ending == .exited(1), "\(failed.errors)\(copy.log)")
        try flipByte(of: past.next, at: FileStatus(of: past.next).size / 2)
        let resumed = try past.site.tidemark([
            "recover", "--resume", "--data-directory", copy.path, "--set", "shared_buffers=16MB",
        ])
        #expect(resumed.ending == .exited(0), "\(resumed)\(copy.log)")
        #expect(try LeftoverServerTests.left(in: copy.path) == [])
    }
}
