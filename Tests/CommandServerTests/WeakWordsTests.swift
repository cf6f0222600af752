import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

/// Messages name what is wrong, where it is, and what to do.
@Suite(.serialized) struct WeakWordsTests {
    private static let site = TestSite.sharedWithBackup()

    @Test(arguments: ["/nonexistent", "/etc/hostname", "/proc"])
    func `a temporary directory that can't be used is named, with the variable that names it`(_ path: String) throws {
        let site = try Self.site.get()
        let finished = try site.tidemark(["backup", "--no-expire"], environment: ["TMPDIR": path])
        #expect(finished.ending == .exited(1))
        #expect(
            finished.errors.contains("cannot write into the temporary directory \"\(path)\": ")
                && finished.errors.contains("The environment variable TMPDIR names it"), "\(finished.errors)")
    }

    @Test func `check says that a backup would refuse what exclude holds, and openmetrics exits 0 with it`() throws {
        let site = try Self.site.get()
        let configuration = site.scratch.file("excluding.conf")
        let text = try Files.readText(site.configuration)
        let cases = [("/etc", "exclude cannot contain \"/etc\""), ("base", "without it nothing can be recovered")]
        for (value, says) in cases {
            try replaceDurably(configuration, bytes: Array((text + "exclude = '\(value)'\n").utf8), mode: 0o644)
            let environment = ["TIDEMARK_CONFIG": configuration]
            let check = try site.tidemark(["check", "--only", "backup_health"], environment: environment)
            #expect(check.ending == .exited(3) && check.output.contains("The next backup will be refused"), "\(check)")
            #expect(check.output.contains(says), "\(check)")
            let metrics = try site.tidemark(
                ["check", "--only", "backup_health", "--format", "openmetrics"], environment: environment)
            #expect(metrics.ending == .exited(0), "\(metrics)")
            let line = "tidemark_check_status{cluster=\"main\",check=\"backup_health\"} 2"
            #expect(metrics.output.contains(line), "\(metrics)")
        }
    }

    private struct Imported: Decodable {
        struct Problem: Decodable { let message: String }
        let stored, present: Int
        let problems: [Problem]
    }

    @Test func `an import skips a folder that it can't read, and names it`() throws {
        let site = try Self.site.get()
        let scratch = try Scratch()
        let folder = scratch.file("archive")
        let script = """
            mkdir -p $1/locked $1/open && cd $1/open && for f in $(find $2 -name '0*.zst' | head -3); do cp $f .; done
            mv "$(ls | head -1)" ../locked && chmod 0 ../locked
            """
        try runAsServerUser("/bin/sh", ["-c", script, "sh", folder, site.repository])
        defer { chmod(folder + "/locked", 0o700) }
        let finished = try site.tidemark(["import", folder, "--json"])
        #expect(finished.ending == .exited(3), "\(finished.errors)")
        let report = try JSONDecoder().decode(Imported.self, from: Data(finished.output.utf8))
        #expect(report.present + report.stored == 2, "\(finished.output)")
        #expect(
            report.problems.contains {
                $0.message.contains("\"\(folder)/locked\"") && $0.message.contains("it is passed over")
            }, "\(finished.output)")
    }

    @Test func `status says that a damaged segment is the archive's`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select n from generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
                .split(separator: "\n").map(String.init).max())
        let name = Files.name(path).dropLast(4)
        try site.cluster.psql("alter system set archive_command = '/bin/false'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.wait(for: "the archiver's new command") {
            try site.cluster.psql("show archive_command") == "/bin/false"
        }
        // It waits for the archiver again, as after a crash between the two.
        let status = site.cluster.data + "/pg_wal/archive_status/"
        try runAsServerUser("/bin/sh", ["-c", "printf xxxxxxxx | dd of=$0 conv=notrunc status=none", path])
        try runAsServerUser("/bin/mv", ["\(status)\(name).done", "\(status)\(name).ready"])
        let said = try site.tidemark(["status"])
        #expect(!(said.output + said.errors).contains("pg_wal could not be read"), "\(said)")
        let check = try site.tidemark(["check", "--json"]).output
        #expect(check.contains(name) && !check.contains("pg_wal could not be read"), "\(check)")
    }

    @Test func `an interrupted recovery's state holds no password, and is nobody else's to read`() throws {
        let site = try Self.site.get()
        let directory = site.scratch.file("secret copy")
        let finished = try site.tidemark(
            [
                "recover", "--target", "latest", "--data-directory", directory, "--yes", "--conninfo",
                site.cluster.conninfo + " password=hunter22", "--set", "work_mem=9MB",
                "--set=primary_conninfo=host=primary password='hunter 23'",
            ], environment: ["TIDEMARK_FAULT": "open:.recovery.signal.=kill"])
        #expect([.signalled(SIGKILL), .exited(137)].contains(finished.ending), "\(finished)")
        let folder = site.scratch.file("state/main/recover")
        let file = try #require(Files.list(folder).first { $0.hasSuffix(".json") })
        let text = try Files.readText(folder + "/" + file)
        #expect(!text.contains("hunter") && text.contains("work_mem=9MB"), "\(text)")
        #expect(try FileStatus(of: folder + "/" + file).mode == 0o600)
        let resume = ["recover", "--resume", "--data-directory", directory]
        let refused = try site.tidemark(resume)
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("Give it again: --set primary_conninfo=VALUE."), "\(refused.errors)")
        #expect(refused.errors.contains("the password in --conninfo was not kept"), "\(refused.errors)")
        let resumed = try site.tidemark(resume + ["--set", "primary_conninfo=host=primary password=hunter24"])
        #expect(resumed.ending == .exited(0), "\(resumed.errors)")
        let settings = try Files.readText(directory + "/postgresql.auto.conf")
        #expect(settings.contains("hunter24") && settings.contains("work_mem = '9MB'"), "\(settings)")
    }

    /// The parts of an error end in full stops of their own.
    @Test func `no sentence of an error ends in two full stops`() throws {
        let sources = Files.parent(Files.parent(Files.parent(#filePath))) + "/Sources"
        let found = try run(
            "/bin/grep", ["-rnE", #"\\\((error|cause|failure)\)\.(["\\ ]|$)"#, sources, "--include=*.swift"])
        #expect(found.output == "")
        let error = Problem("it failed", detail: "Here is why.", hint: "Is it on?")
        #expect(sentences(of: error) == "it failed. Here is why. Is it on?")
        #expect(sentences(of: Problem("it failed")) == "it failed.")
    }

    @Test func `a name that can't be changed within a container's image is no mount point`() {
        let renamed = SystemError(.rename, "/data", code: EXDEV)
        #expect(renamed.hint?.contains("overlayfs") == true && renamed.hint?.contains("unmount") == false)
        let opened = SystemError(.open, "/data", code: EXDEV)
        #expect(opened.hint?.contains("unmount it") == true)
    }
}
