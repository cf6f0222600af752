import Platform
import Support
import Testing

/// docs/migrating.md, step by step, from archives of the old tools.
@Suite(.serialized) struct MigrationTests {
    private func migrate(_ site: TestSite, importing archive: String? = nil) throws {
        let found = try site.tidemark(["init"])
        #expect(
            found.ending == .exited(3) && found.output.contains("archive_command"), "\(found.output)\(found.errors)")
        if let archive { try site.tidemark(["import", archive], expectSuccess: true) }
        try site.tidemark(["init", "--write", "--replace"], expectSuccess: true)
        try site.cluster.wait(for: "the new archive_command") {
            try site.cluster.psql("show archive_command").contains("/tidemark archive-push")
        }
        if let archive { try site.tidemark(["import", archive], expectSuccess: true) }
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let checked = try site.tidemark(["check"])
        #expect(checked.ending == .exited(0), "\(checked.output)\(checked.errors)")
    }

    @Test func `from a plain cp archive: the old log is taken over, and the server was never stopped`() throws {
        let old = try Scratch()
        let site = try TestSite(
            settings: ["archive_command": "'cp %p \(old.path)/%f'", "fsync": "on", "archive_timeout": "1h"],
            initialize: false)
        let started = try site.cluster.psql("select pg_postmaster_start_time()")
        for number in 1...3 {
            try site.cluster.psql("create table t\(number) as select 1")
            try site.archiveEverything()
        }
        let copy = site.scratch.file("pg_basebackup")
        try runAsServerUser(
            site.cluster.server.bin + "/pg_basebackup",
            ["-h", site.cluster.directory, "-U", "postgres", "-D", copy, "-c", "fast"])
        try site.cluster.psql("create table after as select 1 n")
        try site.cluster.psql("select pg_create_restore_point('here')")
        try site.cluster.psql("insert into after values (2)")
        try site.archiveEverything()
        let before = Set(try Files.list(old.path))
        #expect(before.count >= 3)
        try migrate(site, importing: old.path)
        for name in before {
            let kept = try run("/usr/bin/find", [site.repository, "-name", "\(name).zst"]).output
            #expect(!kept.isEmpty, "\(name)")
        }
        #expect(try Set(Files.list(old.path)).isSuperset(of: before))
        #expect(try site.cluster.psql("select pg_postmaster_start_time()") == started)
        // Without the old archive, the old copy can be recovered to a moment that only tidemark's archive has.
        for name in before { try Files.remove("\(old.path)/\(name)") }
        let get = "\(try Executables.tidemark()) archive-get --config \(site.configuration) %f %p"
        let settings = """

            restore_command = '\(get)'
            recovery_target_name = 'here'
            recovery_target_action = 'promote'
            archive_mode = off
            unix_socket_directories = '\(copy)'

            """
        try runAsServerUser(
            "/bin/sh",
            ["-c", "printf '%s' \"$1\" >>\"$0\"/postgresql.auto.conf; touch \"$0\"/recovery.signal", copy, settings])
        let bin = site.cluster.server.bin
        try runAsServerUser(bin + "/pg_ctl", ["-D", copy, "-l", copy + "/log", "-w", "-t", "300", "start"])
        defer { _ = try? runAsServerUser(bin + "/pg_ctl", ["-D", copy, "-m", "immediate", "-w", "stop"]) }
        func ask(_ sql: String) throws -> String {
            try runAsServerUser(bin + "/psql", ["-h", copy, "-U", "postgres", "-d", "postgres", "-XAtqc", sql]).output
        }
        try site.cluster.wait(for: "the end of recovery") { try ask("select pg_is_in_recovery()") == "f\n" }
        #expect(try ask("select string_agg(n::text, ' ') from after") == "1\n")
    }

    @Test func `from pgBackRest: tidemark takes over, and the old repository still restores`() throws {
        let old = try Scratch()
        try runAsServerUser(
            "/bin/mkdir", ["-p", old.file("repository"), old.file("log"), old.file("spool"), old.file("lock")])
        let config = old.file("pgbackrest.conf")
        let site = try TestSite(
            settings: [
                "archive_command": "'pgbackrest --config=\(config) --stanza=main archive-push %p'", "fsync": "on",
                "archive_timeout": "1h",
            ], initialize: false)
        let text = """
            [global]
            repo1-path=\(old.file("repository"))
            log-path=\(old.file("log"))
            spool-path=\(old.file("spool"))
            lock-path=\(old.file("lock"))
            start-fast=y
            archive-timeout=600
            [main]
            pg1-path=\(site.cluster.data)
            pg1-socket-path=\(site.cluster.directory)
            pg1-user=postgres

            """
        try createDurably(config, bytes: Array(text.utf8), mode: 0o644)
        let tool = ["--config=\(config)", "--stanza=main"]
        try runAsServerUser("/usr/bin/pgbackrest", tool + ["stanza-create"])
        try site.cluster.psql("create table t as select 42 n")
        try runAsServerUser("/usr/bin/pgbackrest", tool + ["backup", "--type=full"])
        try migrate(site)
        // The old tool's backups still work.
        let restored = old.file("restored")
        try runAsServerUser("/bin/mkdir", ["-m", "700", restored])
        try runAsServerUser("/usr/bin/pgbackrest", tool + ["restore", "--type=immediate", "--pg1-path=\(restored)"])
        #expect(try Files.exists(restored + "/PG_VERSION"))
    }

    @Test func `from Barman: tidemark takes over, the slot goes, and the old backups still restore`() throws {
        let old = try Scratch()
        try runAsServerUser("/bin/mkdir", ["-p", old.file("home"), old.file("servers")])
        let site = try TestSite(
            settings: [
                "archive_command": "'rsync -a %p \(old.file("home/main/incoming"))/%f'", "fsync": "on",
                "archive_timeout": "1h", "max_wal_senders": "6",
            ], initialize: false)
        let config = old.file("barman.conf")
        let user = try runAsServerUser("/usr/bin/id", ["-un"]).output.prefix { $0 != "\n" }
        let text = """
            [barman]
            barman_user = \(user)
            barman_home = \(old.file("home"))
            configuration_files_directory = \(old.file("servers"))
            log_file = \(old.file("home"))/log

            """
        let server = """
            [main]
            description = main
            conninfo = \(site.cluster.conninfo)
            streaming_conninfo = \(site.cluster.conninfo)
            backup_method = postgres
            archiver = on
            streaming_archiver = on
            slot_name = barman
            path_prefix = \(site.cluster.server.bin)
            check_timeout = 300

            """
        try createDurably(config, bytes: Array(text.utf8), mode: 0o644)
        try createDurably(old.file("servers/main.conf"), bytes: Array(server.utf8), mode: 0o644)
        @discardableResult
        func barman(_ words: String...) throws -> String {
            let finished = try runAsServerUser("/usr/bin/barman", ["-c", config] + words)
            return finished.output + finished.errors
        }
        try barman("receive-wal", "--create-slot", "main")
        // Starts the receiver, as cron does every minute.
        try barman("cron")
        defer { _ = try? barman("receive-wal", "--stop", "main") }
        try site.cluster.wait(for: "Barman's receiver") {
            try site.cluster.psql("select count(*) from pg_replication_slots where active") == "1"
        }
        try site.cluster.psql("create table t as select 42 n")
        try barman("switch-wal", "--force", "--archive", "--archive-timeout", "300", "main")
        try barman("backup", "--wait", "main")
        try migrate(site)
        let changed = server.replacing("streaming_archiver = on", with: "streaming_archiver = off")
        try replaceDurably(old.file("servers/main.conf"), bytes: Array(changed.utf8), mode: 0o644)
        try barman("receive-wal", "--stop", "main")
        try site.cluster.wait(for: "the slot's release") {
            try site.cluster.psql("select count(*) from pg_replication_slots where active") == "0"
        }
        try barman("receive-wal", "--drop-slot", "main")
        try barman("cron")
        #expect(try site.cluster.psql("select count(*) from pg_replication_slots") == "0")
        // The page warns of this.
        let inactive = "\(changed)active = false\n"
        try replaceDurably(old.file("servers/main.conf"), bytes: Array(inactive.utf8), mode: 0o644)
        try barman("recover", "main", "latest", old.file("nothing"))
        #expect(try !Files.exists(old.file("nothing")))
        try replaceDurably(old.file("servers/main.conf"), bytes: Array(changed.utf8), mode: 0o644)
        let restored = old.file("restored")
        let said = try barman("recover", "main", "latest", restored)
        #expect(try Files.exists(restored + "/PG_VERSION"), "\(said)")
    }
}
