import Glibc
import Platform
import Support
import Testing
import WAL

/// initdb and pg_upgrade begin a new incarnation. The old one stays reachable, and is never mistaken for the new one.
@Suite struct UpgradeServerTests {
    /// A cluster of 15 that was upgraded to 16, in another data directory, as `pg_upgradecluster` leaves it.
    private final class Upgraded {
        let site: TestSite
        let new: TestCluster
        let oldLabel: String
        /// A time after row 1 and before row 2.
        let oldTime: String

        init(from old: TestServer = .v15, to version: TestServer = .v16) throws {
            try version.require()
            let site = try TestSite(old, initdb: ["--wal-segsize=1"])
            self.site = site
            try site.cluster.psql("create table t (n int)")
            try site.tidemark(["backup"], expectSuccess: true)
            oldLabel = try #require(site.backupLabels().first)
            try site.cluster.psql("insert into t values (1)")
            oldTime = try site.cluster.psql("select clock_timestamp() from pg_sleep(0.01)")
            try site.cluster.psql("insert into t values (2)")
            try site.archiveEverything()
            try site.cluster.stop()

            let push = "'\(try Executables.tidemark()) archive-push --config \(site.configuration) %p'"
            new = try TestCluster(
                version, settings: ["archive_mode": "on", "archive_command": push], initdb: ["--wal-segsize=1"])
            let lines = try Files.readText(site.configuration)
                .replacing(site.cluster.data, with: new.data)
                .replacing(site.cluster.conninfo, with: new.conninfo)
                .replacing(
                    old.bin,
                    // Installed beside each other, both are found by their version.
                    with: old == .v15 ? version.bin : version.bin.replacing("/\(version.rawValue)/", with: "/%v/"))
            try replaceDurably(site.configuration, bytes: Array(lines.utf8), mode: 0o644)
            try site.tidemark(["init"], expectSuccess: true)
            let early = try site.tidemark(["plan", "--target", "latest"])
            #expect(early.ending == .exited(4) && early.errors.contains("tidemark backup"), "\(early)")
            try new.psql("create table t (n int)")
            // A label is a second; those of two incarnations may be the same.
            try new.wait(for: "another second than \(oldLabel)") {
                !oldLabel.hasPrefix(Moment(microseconds: Clock.now).compact)
            }
            try site.tidemark(["backup"], expectSuccess: true)
            try new.psql("insert into t values (16)")
            let last = try new.psql("select pg_walfile_name(pg_switch_wal())")
            try new.wait(for: "the archiver to archive \(last)") {
                try new.psql("select last_archived_wal >= '\(last)' from pg_stat_archiver") == "t"
            }
        }
    }

    private struct Planned: Decodable {
        struct Backup: Decodable { let label: String }
        let backup: Backup
        let warnings: [String]
    }

    private func planned(_ site: TestSite, _ arguments: [String]) throws -> Planned {
        let finished = try site.tidemark(["plan", "--json"] + arguments, expectSuccess: true)
        return try RecoverAnswer.decode(Planned.self, finished.output)
    }

    @Test(arguments: [(TestServer.v15, TestServer.v16), (.v16, .v18)])
    func `the cluster before an upgrade is reached by time and by backup, with the programs of its version`(
        from former: TestServer, to version: TestServer
    ) throws {
        let upgraded = try Upgraded(from: former, to: version)
        let (site, old) = (upgraded.site, upgraded.oldLabel)
        let newest = try planned(site, ["--target", "latest"])
        #expect(newest.backup.label != old && newest.warnings.isEmpty, "\(newest)")
        for target in [["--target-time", upgraded.oldTime], ["--target", "immediate", "--backup", old]] {
            let plan = try planned(site, target)
            #expect(plan.backup.label == old)
            #expect(
                plan.warnings.contains { $0.contains("before initdb or pg_upgrade: incarnation \(former.rawValue)-") },
                "\(plan)")
        }
        let copy = try RecoveredDirectory(site)
        let recovered = try copy.recover(["--target-time", upgraded.oldTime])
        try #require(recovered.ending == .exited(0), "\(recovered.errors)")
        #expect(try copy.psql("select string_agg(n::text, ' ') from t") == "1")

        #expect(try site.tidemark(["list"]).output.contains("backup \"\(old)\" is of incarnation \(former.rawValue)-"))
        let dry = try site.tidemark(["expire", "--dry-run", "--keep-full", "1"], expectSuccess: true).output
        #expect(dry.contains("Before initdb or pg_upgrade, incarnation \(former.rawValue)-"), "\(dry)")
        #expect(dry.contains("backup \(old) kept: newest good backup"), "\(dry)")
        let space = try site.tidemark(["du"], expectSuccess: true).output
        #expect(
            space.contains("backup \(old) of incarnation \(former.rawValue)-")
                && space.contains("WAL of incarnation \(former.rawValue)-"), "\(space)")
        let status = try site.tidemark(["status"]).output
        #expect(status.contains("From before initdb or pg_upgrade, incarnation \(former.rawValue)-"), "\(status)")
        #expect(try site.tidemark(["show", old]).output.contains("PostgreSQL \(former.rawValue)"))
        let verified = try site.tidemark(["verify"])
        #expect(verified.ending == .exited(0) && verified.output.contains(old), "\(verified.output)\(verified.errors)")
        try site.tidemark(["verify", old], expectSuccess: true)
        let drill = try site.tidemark(["drill", "--target-time", upgraded.oldTime])
        #expect(drill.ending == .exited(0), "\(drill.output)\(drill.errors)")
        let table = try site.tidemark([
            "recover-table", "--table", "postgres.public.t", "--target-time", upgraded.oldTime, "--to-file",
            site.scratch.file("t.dump"),
        ])
        #expect(table.ending == .exited(0), "\(table.output)\(table.errors)")
    }

    @Test func `a moment after the last transaction before the upgrade is refused, and the reason is told`() throws {
        let upgraded = try Upgraded()
        let between = try upgraded.new.psql("select pg_postmaster_start_time()")
        let refused = try upgraded.site.tidemark(["plan", "--target-time", between])
        #expect(refused.ending == .exited(4), "\(refused.output)")
        #expect(refused.errors.contains("before initdb or pg_upgrade: incarnation 15-"), "\(refused.errors)")
        // The offered command leads to the same incarnation.
        let offered = try #require(
            refused.errors.firstMatch(of: #/Reachable: (--target latest --incarnation 15-[0-9]+) \(/#)?.1,
            "\(refused.errors)")
        let plan = try planned(upgraded.site, offered.split(separator: " ").map(String.init))
        #expect(plan.backup.label == upgraded.oldLabel)
        let wrong = try upgraded.site.tidemark(["plan", "--target", "latest", "--incarnation", "15-1"])
        #expect(wrong.ending == .exited(1) && wrong.errors.contains("has no incarnation \"15-1\""), "\(wrong.errors)")
    }

    @Test func `without a data directory the incarnation with the newest backup counts, for every command`() throws {
        let upgraded = try Upgraded()
        let site = upgraded.site
        try upgraded.new.stop()
        try Files.rename(upgraded.new.data, to: upgraded.new.data + ".gone")
        defer { try? Files.rename(upgraded.new.data + ".gone", to: upgraded.new.data) }
        let plan = try planned(site, ["--target", "latest"])
        #expect(plan.backup.label != upgraded.oldLabel)
        #expect(plan.warnings.contains { $0.contains("has the newest backup and is used") }, "\(plan.warnings)")
        for command in [["window"], ["segments"], ["history"]] {
            try site.tidemark(command, expectSuccess: true)
        }

    }
}

extension UpgradeServerTests {
    @Test func `a former incarnation that can't be read is named, keeps all it has, and stops nothing else`() throws {
        let upgraded = try Upgraded()
        let site = upgraded.site
        let folder = try #require(Files.list(site.repository + "/main").first { $0.hasPrefix("15-") })
        let path = site.repository + "/main/" + folder
        let before = try run("/usr/bin/find", [path]).output
        for _ in 0..<2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        try runAsServerUser("/bin/chmod", ["0", path])
        defer { chmod(path, 0o750) }
        let labels = try site.tidemark(["list"])
        #expect(labels.ending == .exited(3))
        let said = "incarnation \(folder), before initdb or pg_upgrade, cannot be read"
        #expect(labels.errors.contains(said), "\(labels.errors)")
        #expect(labels.output.contains("-full"), "\(labels)")
        let expired = try site.tidemark(["expire", "--keep-full", "1"])
        #expect(expired.ending == .exited(3), "\(expired.errors)")
        #expect(expired.errors.contains("incarnation \(folder): "), "\(expired.errors)")
        #expect(expired.output.contains("removed"), "\(expired.output)")
        let status = try site.tidemark(["status"]).output
        #expect(status.contains("incarnation \(folder), cannot be read"), "\(status)")
        for command in [["window"], ["plan", "--target", "latest"], ["events"]] {
            let finished = try site.tidemark(command)
            #expect(finished.ending == .exited(0), "\(command): \(finished.errors)")
        }
        chmod(path, 0o750)
        #expect(try run("/usr/bin/find", [path]).output == before)
    }
}
