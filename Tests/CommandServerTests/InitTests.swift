import Glibc
import Platform
import Support
import Testing

@Suite(.serialized) struct InitTests {
    /// The repository, and the server's configuration: names, inodes, modes, times and content.
    private func listing(_ site: TestSite) throws -> String {
        let script = """
            find "$1" "$2"/*.conf -printf '%p %i %m %T@ %s\\n' | sort; find "$1" "$2"/*.conf -type f -exec md5sum {} + | sort
            """
        return try runAsServerUser("/bin/sh", ["-c", script, "sh", site.repository, site.cluster.data]).output
    }

    @Test func `init creates the repository once, and says what the server lacks`() throws {
        let site = try TestSite(
            settings: ["archive_mode": "off", "archive_command": "''", "wal_level": "minimal", "max_wal_senders": "0"],
            initialize: false)
        let first = try site.tidemark(["init"])
        #expect(first.ending == .exited(3))
        #expect(first.output.contains("Created main/15-"))
        for setting in ["wal_level = 'replica'", "archive_mode = 'on'", "archive_command = '"] {
            #expect(first.output.contains("    " + setting), "\(setting)")
        }
        let before = try listing(site)
        let second = try site.tidemark(["init"])
        #expect(second.output.contains("is already in repository"))
        #expect(try site.cluster.psql("show archive_mode") == "off")
        #expect(try listing(site) == before)
    }

    @Test func `init --write sets what archiving needs, and after the restart segments arrive`() throws {
        let site = try TestSite(settings: ["archive_mode": "off", "archive_command": "''"], initialize: false)
        let written = try site.tidemark(["init", "--write"])
        #expect(written.ending == .exited(3))
        #expect(written.output.contains("Restart the server: archive_mode takes effect only then."), "\(written)")
        try site.cluster.restart()
        #expect(try site.tidemark(["init"], expectSuccess: true).output.contains("as they should be"))
        let before = try listing(site)
        try site.tidemark(["init", "--write"], expectSuccess: true)
        #expect(try listing(site) == before)
        try site.archiveEverything()
        #expect(try run("/usr/bin/find", [site.repository, "-name", "0000000100000000*.zst"]).output != "")
    }

    @Test func `an init that failed or was killed in any of its calls can be repeated`() throws {
        let site = try TestSite(initialize: false)
        let folders = ["repository", "state"].map(site.scratch.file)
        func start() throws { for folder in folders where try Files.exists(folder) { try Files.removeTree(folder) } }
        var struck = 0
        for call in 1... {
            try start()
            let effect = ["kill", "EIO", "ENOSPC"][call % 3]
            let finished = try site.tidemark(["init"], environment: ["TIDEMARK_FAULT": "any:\(call)=\(effect)"])
            if finished.ending == .exited(0), !finished.errors.contains("fault: ") { break }
            struck = call
            let said = "\(call) \(effect): \(finished.ending) \(finished.errors)"
            #expect((effect == "kill") == [.signalled(SIGKILL), .exited(137)].contains(finished.ending), "\(said)")
            let again = try site.tidemark(["init"])
            #expect(again.ending == .exited(0), "\(said)\n\(again.errors)")
        }
        #expect(struck > 100)
        try site.archiveEverything()
        #expect(try site.tidemark(["verify", "--wal"], expectSuccess: true).output.contains("segment"))
    }

    @Test func `another program's archive_command is not replaced without asking`() throws {
        let site = try TestSite(settings: ["archive_command": "'/bin/true'"], initialize: false)
        let refused = try site.tidemark(["init", "--write"])
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("archive_command calls another program"))
        #expect(try site.cluster.psql("show archive_command") == "/bin/true")
        _ = try site.tidemark(["init", "--write", "--replace"])
        try site.cluster.wait(for: "the new archive_command") {
            try site.cluster.psql("show archive_command").contains("archive-push")
        }
    }

    @Test func `another archive_library is not replaced without asking`() throws {
        let site = try TestSite(
            settings: ["archive_command": "''", "archive_library": "'basic_archive'"], initialize: false)
        let refused = try site.tidemark(["init", "--write"])
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("archive_library sends WAL to another archive"), "\(refused.errors)")
        #expect(refused.errors.contains("It is: basic_archive"), "\(refused.errors)")
        #expect(try site.cluster.psql("show archive_library") == "basic_archive")
        _ = try site.tidemark(["init", "--write", "--replace"])
        try site.cluster.wait(for: "the new settings") {
            try site.cluster.psql(
                "select concat(current_setting('archive_library'), current_setting('archive_command'))"
            )
            .contains("archive-push")
        }
        #expect(try site.cluster.psql("show archive_library") == "")
    }

    @Test func `a second cluster in the configuration doesn't stop archiving`() throws {
        // A configuration with one cluster formerly got a command without a name.
        let site = try TestSite()
        let before = try Files.readText(site.configuration)
        let other = try TestCluster(.v16)
        let wiki = """
            [cluster wiki]
            data_directory = '\(other.data)'
            conninfo = '\(other.conninfo)'

            """
        try replaceDurably(site.configuration, bytes: Array((before + wiki).utf8), mode: 0o644)
        try site.tidemark(["init", "--cluster", "wiki"])
        try site.archiveEverything()
        let waiting = try site.cluster.psql("select failed_count from pg_stat_archiver")
        #expect(waiting == "0")

        let said = try site.tidemark(["init", "--cluster", "main"])
        #expect(said.ending == .exited(3) && said.output.contains("archive-push"), "\(said)")
        #expect(said.output.contains("--cluster main %p'   # was"), "\(said.output)")
        let checked = try site.tidemark(["check", "--cluster", "main", "--only", "server_settings"])
        #expect(checked.output.contains("under this cluster's name"), "\(checked)")
        // It is tidemark's own command: no --replace.
        _ = try site.tidemark(["init", "--cluster", "main", "--write"])
        try site.cluster.wait(for: "the new archive_command") {
            try site.cluster.psql("show archive_command").contains("--cluster main %p")
        }
        let again = try site.tidemark(["check", "--cluster", "main", "--only", "server_settings"])
        #expect(!again.output.contains("archive_command"), "\(again)")

        // One that names another cluster may be intended.
        try site.cluster.psql("alter system set archive_command = 'tidemark archive-push --cluster wiki %p'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.wait(for: "wiki's name") { try site.cluster.psql("show archive_command").contains("wiki") }
        let refused = try site.tidemark(["init", "--cluster", "main", "--write"])
        #expect(refused.ending == .exited(1) && refused.errors.contains("archives for another cluster"), "\(refused)")
    }

    @Test func `init as root leaves nothing that belongs to root`() throws {
        try #require(geteuid() == 0, "this test needs root")
        let site = try TestSite(initialize: false)
        let config = try Files.readText(site.configuration)
        // A place that only root may write to.
        let closed = try Scratch()
        chmod(closed.path, 0o755)
        let path = site.scratch.file("root.conf")
        try createDurably(
            path,
            bytes: Array(
                config.split(separator: "\n").map {
                    $0.hasPrefix("repository") ? "repository = '\(closed.path)/repository'" : String($0)
                }
                .joined(separator: "\n").utf8), mode: 0o644)
        let finished = try run(try Executables.tidemark(), ["init", "--config", path])
        #expect(finished.ending == .exited(0) || finished.ending == .exited(3), "\(finished.errors)")
        let strangers = try run("/usr/bin/find", [closed.path + "/repository", "!", "-user", "postgres"])
        #expect(strangers.output == "")
        #expect(try Files.exists(closed.path + "/repository/main"))
    }

    /// A fault, how to cause it, and the expected message.
    struct Trouble: Sendable, CustomTestStringConvertible {
        let name: String
        let lines: [(String, String)]
        var stop = false
        let says: [String]
        var testDescription: String { name }

        static let all = [
            Trouble(
                name: "server not running", lines: [], stop: true,
                says: ["could not connect to the PostgreSQL server", "HINT:  Is the server running"]),
            Trouble(
                name: "no such database", lines: [("dbname=postgres", "dbname=nothing")],
                says: ["could not connect", "database \"nothing\" does not exist"]),
            Trouble(
                name: "no such role", lines: [("user=postgres", "user=nobody")],
                says: ["could not connect", "role \"nobody\" does not exist"]),
            Trouble(
                name: "data directory missing", lines: [("/data'", "/nodata'")],
                says: ["data directory", "does not exist", "HINT:"]),
        ]
    }

    @Test(arguments: Trouble.all)
    func `trouble is named and nothing is created`(_ trouble: Trouble) throws {
        let site = try TestSite(initialize: false)
        var text = try Files.readText(site.configuration)
        for (old, new) in trouble.lines {
            text = text.split(separator: "\n").map { $0.replacingFirst(old, with: new) }.joined(separator: "\n")
        }
        let path = site.scratch.file("trouble.conf")
        try createDurably(path, bytes: Array(text.utf8), mode: 0o644)
        if trouble.stop { try site.cluster.stop() }
        let finished = try site.tidemark(["init", "--config", path])
        #expect(finished.ending == .exited(1))
        for words in trouble.says { #expect(finished.errors.contains(words), "\(finished.errors)") }
        #expect(try !Files.exists(site.repository + "/main"))
    }

    @Test func `a wrong password is named as such`() throws {
        let site = try TestSite(initialize: false)
        try site.cluster.psql("create role tide login password 'right'")
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "printf 'local all tide scram-sha-256\\nlocal all all trust\\n' > \"$1\"", "sh",
                site.cluster.data + "/pg_hba.conf",
            ])
        try site.cluster.psql("select pg_reload_conf()")
        let finished = try site.tidemark(
            ["init", "--conninfo", "host=\(site.cluster.directory) user=tide dbname=postgres"],
            environment: ["PGPASSWORD": "wrong"])
        #expect(finished.ending == .exited(1))
        #expect(finished.errors.contains("password authentication failed"))
        #expect(finished.errors.contains("HINT:  libpq takes passwords from PGPASSFILE"))
    }
}

extension StringProtocol {
    fileprivate func replacingFirst(_ old: String, with new: String) -> String {
        guard let range = self.firstRange(of: old) else { return String(self) }
        return String(self[..<range.lowerBound]) + new + String(self[range.upperBound...])
    }
}
