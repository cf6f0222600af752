import Platform
import Support
import Testing

/// The server in `conninfo` is used only if it runs on `data_directory`, whatever its role.
@Suite(.serialized) struct ForeignServerTests {
    /// A role that may put a server into backup mode, but can't see its settings.
    private static let blind = """
        create role blind login; grant execute on function pg_backup_start(text, boolean) to blind;
        grant execute on function pg_backup_stop(boolean) to blind
        """

    private struct Site {
        let site: TestSite
        let copies: [String]
    }

    /// A cluster, and two servers with its identifier: one that has recovered and one that follows the archive.
    private static let site = Result {
        let made = TestSite.shared {
            let site = try TestSite(initdb: ["--wal-segsize=1"])
            try site.cluster.psql(blind)
            try site.tidemark(["backup"], expectSuccess: true)
            try site.archiveEverything()
            return site
        }
        let site = try made.get()
        return Site(site: site, copies: [site.scratch.file("promoted"), site.scratch.file("standby")])
    }

    @Test(arguments: [0, 1], ["postgres", "blind"])
    func `another server with the same identifier is neither backed up nor changed`(
        _ copy: Int, _ role: String
    ) throws {
        let made = try Self.site.get()
        let directory = made.copies[copy]
        let way = copy == 0 ? ["--target", "latest"] : ["--target", "latest", "--standby"]
        let recovered = try made.site.tidemark(["recover", "--data-directory", directory, "--start", "--yes"] + way)
        defer {
            _ = try? runAsServerUser(
                made.site.cluster.server.bin + "/pg_ctl", ["-D", directory, "-m", "immediate", "stop"],
                expectSuccess: false)
            try? Files.removeTree(directory)
        }
        try #require(recovered.ending == .exited(0), "\(recovered)")
        let conninfo = "host=\(directory) port=5432 user=\(role) dbname=postgres"
        let settings = try Files.readText(directory + "/postgresql.auto.conf")
        for command in [["backup"], ["init", "--write"], ["init"]] {
            let refused = try made.site.tidemark(command + ["--conninfo", conninfo])
            #expect(refused.ending == .exited(1), "\(refused)")
            #expect(
                refused.errors.contains("the server does not run on data directory \"\(made.site.cluster.data)\""),
                "\(refused.errors)")
            #expect(refused.errors.contains("its pg_control differs"), "\(refused.errors)")
        }
        #expect(try made.site.backupLabels().count == 1)
        #expect(try Files.readText(directory + "/postgresql.auto.conf") == settings)
        let check = try made.site.tidemark(["check", "--conninfo", conninfo])
        #expect(check.output.contains("is not the one in data_directory"), "\(check)")
    }

    /// However often the server writes its pg_control.
    @Test func `a role without privileges recognises the cluster's own server`() throws {
        let made = try Self.site.get()
        let cluster = made.site.cluster
        let conninfo = cluster.conninfo.replacing("user=postgres", with: "user=blind")
        for _ in 0..<5 {
            try cluster.psql("checkpoint; select pg_switch_wal()")
            let check = try made.site.tidemark(["check", "--conninfo", conninfo])
            #expect(!check.output.contains("is not the one in data_directory"), "\(check)")
        }
        let backup = try made.site.tidemark(["backup", "--no-expire", "--conninfo", conninfo])
        #expect(backup.ending == .exited(0), "\(backup)")
    }

    @Test func `a backup is not complete with another server's WAL`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"], configuration: ["wal_wait_timeout = 2min"])
        let cluster = site.cluster
        let clone = site.scratch.file("clone")
        try site.archiveEverything()
        try cluster.stop()
        let bin = cluster.server.bin
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "cp -a \"$1\" \"$2\" && \"$3\"/pg_ctl -D \"$2\" -l \"$2/log\" -w -o \"-k $2\" start", "sh",
                cluster.data, clone, bin,
            ], expectSuccess: true)
        defer {
            _ = try? runAsServerUser(
                bin + "/pg_ctl", ["-D", clone, "-m", "immediate", "stop"], expectSuccess: false)
        }
        func tell(_ sql: String) throws -> String {
            try runAsServerUser(
                bin + "/psql", ["-h", clone, "-U", "postgres", "-d", "postgres", "-XAtqc", sql], expectSuccess: true
            ).output
        }
        for number in 1...6 { _ = try tell("create table clone_\(number) (n int); select pg_switch_wal()") }
        try wait(for: "the clone's archiver") {
            try tell(
                "select last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1048576) from pg_stat_archiver"
            ).hasPrefix("t")
        }
        // Its own WAL goes elsewhere.
        let push = "\(try Executables.tidemark()) archive-push --config \(site.configuration) %p"
        try cluster.append(
            to: "postgresql.conf",
            ["archive_command = 'case %f in *.backup) \(push);; esac'"])
        try cluster.start()
        let backup = try site.tidemark(["backup"])
        #expect(backup.ending == .exited(1), "\(backup)")
        #expect(backup.errors.contains("is not this server's"), "\(backup)")
        #expect(try site.backupLabels().isEmpty)

        // The clone archives no longer, and the server archives itself.
        try runAsServerUser(bin + "/pg_ctl", ["-D", clone, "-m", "immediate", "-w", "stop"])
        try cluster.append(to: "postgresql.conf", ["archive_command = '\(push)'"])
        try cluster.psql("select pg_reload_conf()")
        try cluster.wait(for: "the archive_command") { try cluster.psql("show archive_command") == push }
        let offered = try #require(backup.errors.firstMatch(of: /"tidemark (segments put-aside [^"]*)"/)?.output.1)
        try site.tidemark(offered.split(separator: " ").map(String.init) + ["--yes"], expectSuccess: true)
        try site.tidemark(["backup"], expectSuccess: true)
        try site.tidemark(["verify", "--backups"], expectSuccess: true)
    }
}
