import Glibc
import Platform
import Support
import Testing

/// Files outside the data directory: configuration files and tablespaces; and the confirmation by a person.
@Suite(.serialized) struct PlacesServerTests {
    @Test func `configuration files outside of the data directory, as Debian has them`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let (data, bin) = (site.cluster.data, site.cluster.server.bin)
        try site.cluster.psql("create table t as select 1 n")
        try site.cluster.stop()
        let etc = site.scratch.file("etc")
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                mkdir "$2" && mv "$1"/postgresql.conf "$1"/pg_hba.conf "$1"/pg_ident.conf "$2"
                printf "hba_file = '%s/pg_hba.conf'\\nident_file = '%s/pg_ident.conf'\\n" "$2" "$2" >>"$2"/postgresql.conf
                cp "$2"/postgresql.conf "$2"/copy.conf
                printf "data_directory = '%s'\\n" "$1" >>"$2"/postgresql.conf
                """, "sh", data, etc,
            ])
        try runAsServerUser(
            bin + "/pg_ctl",
            [
                "-D", data, "-l", site.cluster.logFile, "-w", "-t", "600", "-s", "-o",
                "-c config_file=\(etc)/postgresql.conf",
                "start",
            ])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (2)")
        try site.archiveEverything()

        // Beside it: the plan says what will be missing; a file of the copy's own is accepted.
        let beside = try RecoveredDirectory(site)
        let plan = try site.tidemark(["plan", "--target", "latest", "--data-directory", beside.path])
        #expect(plan.output.contains("\"\(etc)/postgresql.conf\", is not in the backup; a minimal one will be written"))
        #expect(plan.output.contains("--set config_file=FILE"))
        let minimal = try beside.recover(["--target", "latest"])
        #expect(minimal.ending == .exited(0), "\(minimal.errors)")
        #expect(try beside.psql("show hba_file") == beside.path + "/pg_hba.conf")
        #expect(try beside.psql("select sum(n) from t") == "3")
        let foreign = try RecoveredDirectory(site)
        let refused = try foreign.recover(["--target", "latest", "--set", "config_file=\(etc)/postgresql.conf"])
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("belongs to another data directory"), "\(refused.errors)")
        #expect(try !Files.exists(foreign.path))
        let own = try foreign.recover(["--target", "latest", "--set", "config_file=\(etc)/copy.conf"])
        #expect(own.ending == .exited(0), "\(own.errors)")
        #expect(try foreign.psql("show config_file") == "\(etc)/copy.conf")
        #expect(try foreign.psql("show data_directory") == foreign.path)

        // In place: the cluster's own files are used again, once its name has been typed.
        try site.cluster.stop(mode: "immediate")
        let recover =
            "\(try Executables.tidemark()) recover --config \(site.configuration) --target latest --start"
        let hasty = try Self.onTerminal(recover, typing: "yes")
        #expect(hasty.ending == .exited(130), "\(hasty.output)")
        #expect(hasty.output.contains("Type the cluster's name, main, to go ahead:"), "\(hasty.output)")
        #expect(try Files.list(site.cluster.directory).filter { $0.hasPrefix("data.before-") } == [])
        let agreed = try Self.onTerminal(recover, typing: "main")
        #expect(agreed.ending == .exited(0), "\(agreed.output)")
        #expect(agreed.output.contains("As predicted"), "\(agreed.output)")
        #expect(try Files.list(site.cluster.directory).filter { $0.hasPrefix("data.before-") }.count == 1)
        #expect(try site.cluster.psql("show config_file") == "\(etc)/postgresql.conf")
        #expect(try site.cluster.psql("show hba_file") == "\(etc)/pg_hba.conf")
        #expect(try site.cluster.psql("show archive_mode") == "on")
        #expect(try site.cluster.psql("select sum(n) from t") == "3")
    }

    @Test func `tablespaces go where the mapping says, and never into the living server's`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let old = site.scratch.file("a space")
        try runAsServerUser("/bin/mkdir", [old])
        try site.cluster.psql("create tablespace fast location '\(old)'")
        try site.cluster.psql("create table t tablespace fast as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into t values (1001)")
        try site.archiveEverything()

        let directory = try RecoveredDirectory(site)
        let new = directory.scratch.file("space")
        for (mapping, status, says) in [
            ([], 1, "It already holds a tablespace of this version"),
            ([], 1, "elsewhere with --tablespace-mapping '\(old)=DIRECTORY'."),
            (["--tablespace-mapping", "/nowhere=\(new)"], 1, "has no tablespace in \"/nowhere\""),
            (["--tablespace-mapping", "\(old)=here"], 2, "two absolute paths"),
        ] as [([String], Int32, String)] {
            let refused = try directory.recover(["--target", "latest"] + mapping)
            #expect(refused.ending == .exited(status), "\(refused.errors)")
            #expect(refused.errors.contains(says), "\(refused.errors)")
            #expect(try Files.list(directory.scratch.path) == [])
            #expect(try Files.listIfPresent(site.scratch.file("state/main/recover")) == [])
        }
        let mapping = ["--tablespace-mapping", "\(old)=\(new)"]
        let plan = try site.tidemark(["plan", "--target", "latest", "--data-directory", directory.path] + mapping)
        let warning = "Directory \"\(new)\" of tablespace \"fast\" does not exist here"
        #expect(plan.output.contains(warning), "\(plan.output)")
        let finished = try directory.recover(["--target", "latest"] + mapping)
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try directory.psql("select count(*) from t") == "1001")
        #expect(
            try directory.psql("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'") == new)
        #expect(try site.cluster.psql("select count(*) from t") == "1001")
    }

    @Test func `another cluster's directory is not taken, whatever the configuration says`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        let other = try TestCluster(initdb: ["--wal-segsize=1"])
        func configuration(_ name: String, _ cluster: String, _ directory: String) throws -> [String: String] {
            let text = try Files.readText(site.configuration)
                .replacing("[cluster main]", with: "[cluster \(cluster)]")
                .replacing("'\(site.cluster.data)'", with: "'\(directory)'")
                .replacing(site.cluster.directory, with: other.directory)
            try createDurably(site.scratch.file(name), bytes: Array(text.utf8), mode: 0o644)
            return ["TIDEMARK_CONFIG": site.scratch.file(name)]
        }
        let own = try configuration("other.conf", "other", other.data)
        _ = try site.tidemark(["init"], environment: own)
        try other.stop()
        let swapped = try configuration("swapped.conf", "main", other.data)
        let before = try run("/usr/bin/find", [other.data, "-printf", "%p %s %T@\n"]).output
        for command in [["plan"], ["recover", "--dry-run"], ["recover", "--yes"], ["recover", "--delta", "--yes"]] {
            let refused = try site.tidemark(command + ["--target", "latest"], environment: swapped)
            #expect(refused.ending == .exited(1), "\(command): \(refused)")
            let says = "data directory \"\(other.data)\" belongs to cluster \"other\", not to \"main\""
            #expect(refused.errors.contains(says), "\(command): \(refused.errors)")
        }
        #expect(try run("/usr/bin/find", [other.data, "-printf", "%p %s %T@\n"]).output == before)
    }

    /// Runs a command line on a terminal of its own, as the server's user, and types an answer.
    static func onTerminal(_ command: String, typing answer: String) throws -> Finished {
        try runAsServerUser(
            "/bin/sh", ["-c", "printf '%s\\n' \"$2\" | script -qe -c \"$1\" /dev/null", "sh", command, answer],
            expectSuccess: false)
    }

    @Test func `a copy whose path is too long for a socket doesn't take the original's place in /tmp`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let scratch = try Scratch()
        let copy = scratch.file(String(repeating: "long", count: 25))
        let arguments = ["recover", "--target", "latest", "--data-directory", copy, "--start", "--yes"]
        let finished = try site.tidemark(arguments + ["--set", "port=5439"])
        try #require(finished.ending == .exited(0), "\(finished.errors)")
        let lines = try Files.readText(copy + "/postmaster.pid").split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[4].hasPrefix("/tmp/tidemark-copy-"))
        #expect(try FileStatus(of: String(lines[4])).mode == 0o700)
        try runAsServerUser(site.cluster.server.bin + "/pg_ctl", ["-D", copy, "-w", "-t", "600", "stop"])
        try runAsServerUser("/bin/rm", ["-r", String(lines[4])])
    }
}
