import Platform
import Support
import Testing

/// Settings that hold paths: a copy beside the living server, or on a machine with the directory elsewhere, must use
/// its own files, and must not write to the original's.
@Suite(.serialized) struct RelocationServerTests {
    @Test(arguments: TestServer.allCases)
    func `every path below the original's directory is the same path below the copy's`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        let data = site.cluster.data
        let outside = site.scratch.file("outside")
        try runAsServerUser("/bin/mkdir", ["-p", outside, data + "/conf.d", data + "/keys", data + "/sub"])
        try site.cluster.append(to: "keys/server.crt", [])
        try site.cluster.append(
            to: "postgresql.conf",
            [
                "data_directory = '\(data)'", "hba_file = '\(data)/pg_hba.conf'", "ident_file '\(data)/pg_ident.conf'",
                "include_dir = '\(data)/conf.d'", "include_if_exists = '\(data)/sub/more.conf'",
                "include = '\(data)/sub/one.conf'", "Log_Directory = '\(data)/logs' # it's ours",
                "shop.place = 'x:\(data)/files,\(data)2/no'",
            ])
        try site.cluster.append(to: "conf.d/10-keys.conf", ["ssl_cert_file = '\(data)/keys/server.crt'"])
        try site.cluster.append(to: "sub/one.conf", ["external_pid_file = '\(data)/other.pid'"])
        try site.cluster.append(
            to: "sub/more.conf", ["logging_collector = on", "log_rotation_age = 0", "work_mem = '5MB'"])
        try site.cluster.append(to: "users", ["postgres"])
        try site.cluster.append(to: "pg_hba.conf", ["local all @\(data)/users trust"])
        try site.cluster.restart()
        try site.cluster.psql("alter system set ssl_key_file = '\(data)/keys/server.key'")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let logs = try Files.list(data + "/logs").sorted()

        let copy = try RecoveredDirectory(site)
        let finished = try copy.recover(["--target", "latest", "--set", "hba_file=\(copy.path)/pg_hba.conf"])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        for (name, place) in [
            ("data_directory", ""), ("hba_file", "/pg_hba.conf"), ("ident_file", "/pg_ident.conf"),
            ("log_directory", "/logs"), ("ssl_cert_file", "/keys/server.crt"), ("external_pid_file", "/other.pid"),
            ("ssl_key_file", "/keys/server.key"),
        ] {
            #expect(try copy.psql("show \(name)") == copy.path + place, "\(name)")
        }
        #expect(try copy.psql("show shop.place") == "x:\(copy.path)/files,\(data)2/no")
        #expect(try copy.psql("show work_mem") == "5MB")
        #expect(try copy.psql("select count(*) from pg_settings where sourcefile like '\(data)/%'") == "0")
        #expect(try Files.readText(copy.path + "/pg_hba.conf").contains("@\(copy.path)/users trust"))
        #expect(try Files.list(data + "/logs").sorted() == logs, "the copy wrote into the living server's log")
        #expect(try !Files.list(copy.path + "/logs").isEmpty)
        // A file that the backup lacks is refused before anything is touched.
        let other = try RecoveredDirectory(site)
        let refused = try other.recover(["--target", "latest", "--set", "hba_file=\(other.path)/nobody.conf"])
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("does not exist"), "\(refused.errors)")
        #expect(try !Files.exists(other.path))

        // A copy starts when the original is gone.
        try site.cluster.stop()
        try Files.rename(data, to: data + ".gone")
        try copy.pgControl(["restart"])
        #expect(try copy.psql("select 1") == "1")
    }

    @Test func `a relative include that leads out of the directory includes the same file`() throws {
        let site = try TestSite(.v16, initdb: ["--wal-segsize=1"])
        let (data, outside) = (site.cluster.data, site.cluster.directory + "/conf")
        try runAsServerUser("/bin/mkdir", [outside, outside + "/more.d", data + "/conf.d"])
        try site.cluster.append(to: "../conf/extra.conf", ["work_mem = '5MB'"])
        try site.cluster.append(to: "../conf/more.d/a.conf", ["maintenance_work_mem = '7MB'"])
        try site.cluster.append(to: "../conf/deep.conf", ["temp_buffers = '3MB'"])
        try site.cluster.append(to: "../conf/hba", ["local all @users trust"])
        try site.cluster.append(to: "../conf/users", ["postgres"])
        try site.cluster.append(to: "conf.d/own.conf", ["include '../../conf/deep.conf'", "statement_timeout = '1h'"])
        try site.cluster.append(
            to: "postgresql.conf",
            [
                "include '../conf/extra.conf'", "include_dir = '../conf/more.d'", "include_dir = 'conf.d'",
                "include_if_exists '../conf/missing.conf'",
            ])
        try site.cluster.append(to: "pg_hba.conf", ["include \"../conf/hba\""])
        try site.cluster.restart()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let drill = try site.tidemark(["drill"])
        #expect(drill.ending == .exited(0), "\(drill)")
        let copy = try RecoveredDirectory(site)
        let finished = try copy.recover(["--target", "latest"])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        for (name, value) in [
            ("work_mem", "5MB"), ("maintenance_work_mem", "7MB"), ("temp_buffers", "3MB"), ("statement_timeout", "1h"),
        ] { #expect(try copy.psql("select current_setting('\(name)')") == value, "\(name)") }
        let rules = "select count(*) from pg_hba_file_rules where file_name = '\(outside)/hba' and error is null"
        #expect(try copy.psql(rules) == "1")
        #expect(try Files.readText(copy.path + "/conf.d/own.conf").contains("'\(outside)/deep.conf'"))
    }

    /// PostgreSQL takes these for the same path (`canonicalize_path`, src/port/path.c). Files of authentication rules
    /// may include others since 16.
    @Test func `a path is below the original's directory however it is written, and so are included ones`() throws {
        let site = try TestSite(.v16, initdb: ["--wal-segsize=1"])
        let data = site.cluster.data
        func written(_ separator: String) -> String { Files.parent(data) + separator + Files.name(data) }
        try runAsServerUser("/bin/mkdir", [data + "/rules"])
        try site.cluster.append(to: "rules/pg_hba.conf", ["include \(data)/rules/second.conf"])
        try site.cluster.append(to: "rules/second.conf", ["include_if_exists \(data)/rules/third.conf"])
        try site.cluster.append(to: "rules/third.conf", ["local all @\(data)/rules/users trust"])
        try site.cluster.append(to: "rules/users", ["postgres"])
        try site.cluster.append(
            to: "postgresql.conf",
            [
                "hba_file = '\(written("//"))/rules/pg_hba.conf'", "ident_file = '\(written("/./"))/pg_ident.conf'",
                "log_directory = '\(written("/nobody/../"))/logs'", "external_pid_file = '/.\(written("///"))/pid'",
            ])
        try site.cluster.restart()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let copy = try RecoveredDirectory(site)
        let finished = try copy.recover(["--target", "latest"])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        for (name, place) in [
            ("hba_file", "rules/pg_hba.conf"), ("ident_file", "pg_ident.conf"), ("log_directory", "logs"),
            ("external_pid_file", "pid"),
        ] {
            #expect(try copy.psql("show \(name)") == copy.path + "/" + place)
        }
        #expect(
            try copy.psql("select distinct file_name from pg_hba_file_rules") == copy.path + "/rules/third.conf")
        #expect(try copy.psql("select count(*) from pg_hba_file_rules where error is not null") == "0")
        #expect(try Files.readText(copy.path + "/rules/third.conf").contains("@\(copy.path)/rules/users"))
    }

    /// Links to the directory, to one in it, and to a file in it.
    @Test func `a path that leads into the data directory through a symbolic link is the copy's own`() throws {
        let site = try TestSite(.v16, initdb: ["--wal-segsize=1"])
        let data = site.cluster.data
        let (link, part, file) = (site.scratch.file("link"), site.scratch.file("part"), site.scratch.file("ident"))
        try runAsServerUser("/bin/mkdir", [data + "/conf.d", data + "/rules"])
        for (path, target) in [(link, ""), (part, "/conf.d"), (file, "/pg_ident.conf")] {
            try runAsServerUser("/bin/ln", ["-s", data + target, path])
        }
        try site.cluster.append(to: "conf.d/10.conf", ["work_mem = '5MB'"])
        try site.cluster.append(to: "rules/more.conf", ["local all all trust"])
        try site.cluster.append(to: "pg_hba.conf", ["include \(link)/rules/more.conf"])
        try site.cluster.append(
            to: "postgresql.conf",
            [
                "hba_file = '\(link)//pg_hba.conf'", "ident_file = '\(file)'", "include_dir = '\(part)'",
                "log_directory = '\(link)/logs'", "logging_collector = on",
            ])
        try site.cluster.restart()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.stop()
        // As on another machine.
        try runAsServerUser("/bin/rm", [link, part, file])
        let copy = try RecoveredDirectory(site)
        let plan = try site.tidemark(["plan", "--target", "latest", "--data-directory", copy.path]).output
        #expect(!plan.contains("outside of its data directory") && !plan.contains("doesn't have"), "\(plan)")
        let finished = try copy.recover(["--target", "latest"])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        for (name, place) in [
            ("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf"), ("log_directory", "logs"),
        ] {
            #expect(try copy.psql("show \(name)") == copy.path + "/" + place)
        }
        #expect(try copy.psql("show work_mem") == "5MB")
        let rules = try copy.psql("select distinct file_name from pg_hba_file_rules order by 1")
        #expect(rules.contains(copy.path + "/rules/more.conf") && !rules.contains(link))
    }

    @Test func `paths outside of the data directory are listed in the plan, and written to by no copy`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let data = site.cluster.data
        let outside = site.scratch.file("outside")
        try runAsServerUser("/bin/mkdir", ["-p", outside + "/log"])
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                "cp \"$1/pg_hba.conf\" \"$2\" && printf \"work_mem = '5MB'\\nident_file = '%s/pg_ident.conf'\\n\" \"$1\" >\"$2/one.conf\"",
                "sh", data, outside,
            ])
        try site.cluster.append(
            to: "postgresql.conf",
            [
                "hba_file = '\(outside)/pg_hba.conf'", "log_directory = '\(outside)/log'", "logging_collector = on",
                "log_rotation_age = 0",
                "external_pid_file = '../pid'", "include '\(outside)/one.conf'",
            ])
        try site.cluster.restart()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let logs = try Files.list(outside + "/log").sorted()
        let pid = try Files.readText(site.cluster.directory + "/pid")

        let copy = try RecoveredDirectory(site)
        let plan = try site.tidemark(["plan", "--target", "latest", "--data-directory", copy.path]).output
        for sentence in [
            "The original's hba_file is \"\(outside)/pg_hba.conf\", outside of its data directory: this server will read",
            "The original's configuration includes \"\(outside)/one.conf\", outside",
            "The original's log_directory is \"\(outside)/log\", outside of its data directory: this server will use \"log\"",
            "The original's external_pid_file is \"../pid\", outside of its data directory: this server will write none.",
        ] { #expect(plan.contains(sentence), "\(sentence)\n\(plan)") }
        #expect(try !site.tidemark(["plan", "--target", "latest"]).output.contains("outside of its data directory"))
        let finished = try copy.recover(["--target", "latest"])
        try #require(finished.ending == .exited(0), "\(finished.errors)\(copy.log)")
        #expect(try copy.psql("show hba_file") == outside + "/pg_hba.conf")
        #expect(try copy.psql("show ident_file") == copy.path + "/pg_ident.conf")
        #expect(try copy.psql("show log_directory") == "log")
        #expect(try copy.psql("show external_pid_file") == "")
        try copy.pgControl(["stop"])
        #expect(try Files.list(outside + "/log").sorted() == logs)
        #expect(try Files.readText(site.cluster.directory + "/pid") == pid)
        #expect(try Files.readText(outside + "/one.conf").contains(data), "somebody else's file was rewritten")

        // On a machine that doesn't have them.
        try runAsServerUser("/bin/mv", [outside, outside + ".gone"])
        let alarming = try site.tidemark(["plan", "--target", "latest", "--data-directory", copy.path]).output
        #expect(
            alarming.contains("hba_file is \"\(outside)/pg_hba.conf\", which this host doesn't have"), "\(alarming)")
        #expect(alarming.contains("includes \"\(outside)/one.conf\", which this host doesn't have"), "\(alarming)")
    }

    @Test(arguments: TestServer.allCases)
    func `what is said about the original comes from its backup, not from today's configuration`(
        _ server: TestServer
    ) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        try site.cluster.psql("select pg_create_restore_point('early')")
        try site.archiveEverything()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        for (name, words) in [
            ("early", "before the end of the oldest usable backup"), ("never", "\"never\" is not in the archive"),
        ] {
            let refused = try site.tidemark(["plan", "--target-name", name])
            #expect(refused.ending == .exited(4) && refused.errors.contains(words), "\(refused)")
            let isThere = !refused.errors.contains("is not in the archive")
            #expect(isThere == (name == "early"), "\(refused)")
        }
        try site.cluster.stop()
        let (data, gone) = (site.cluster.data, site.cluster.data + ".gone")
        try Files.rename(data, to: gone)
        let elsewhere = try RecoveredDirectory(site)
        _ = try run(
            "/bin/sed", ["-i", "s|^data_directory = .*|data_directory = '\(elsewhere.path)'|", site.configuration])
        let plan = try site.tidemark(["plan", "--target", "latest"])
        #expect(!plan.output.contains("WARNING"), "\(plan.output)")
        let finished = try site.tidemark(["recover", "--target", "latest", "--yes"])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try Files.readText(gone + "/postgresql.conf") == Files.readText(elsewhere.path + "/postgresql.conf"))
    }
}
