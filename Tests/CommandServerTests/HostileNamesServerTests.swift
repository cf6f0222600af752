import Glibc
import Platform
import Support
import Testing

/// Names that somebody chose to mislead whoever reads the output, or to run something where it is pasted.
@Suite(.serialized) struct HostileNamesServerTests {
    /// A quotation mark of each kind, a command, a sequence for terminals, a mark that turns the direction of writing.
    /// Not longer than names in PostgreSQL may be.
    private static let word = "x'\"$(touch pwned)\\\u{1B}[31m\u{7F}\u{85}\u{202E}\u{200B}é"
    /// The same, and a line of its own.
    private static let name = word + "\nFORGED\r\tx"

    private struct Made {
        let site: TestSite
        let label, target: String
        /// Of the copies that recoveries make, and the option's value that gives their tablespace a place.
        let directory, mapping: String
    }

    /// Its data directory, repository and tablespace, its databases, schemas, tables, roles and restore points have
    /// such names.
    private static let made: Result<Made, any Error> = Result {
        let site = try TestSite(initialize: false)
        let cluster = site.cluster
        _ = TestSite.shared { site }
        let (data, repository) = (cluster.directory + "/" + word, site.scratch.file(word))
        let space = site.scratch.file("space=" + name.replacing("'", with: ""))
        try cluster.stop()
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "set -e; mkdir \"$1\" \"$3\" \"$4\"; mv \"$2\" \"$1/data\"; ln -s \"$1/data\" \"$2\"", "sh", data,
                cluster.data, repository, space,
            ])
        func quoted(_ text: String) -> String {
            "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "''") + "'"
        }
        let text = try Files.readText(site.configuration)
            .replacing("'\(site.repository)'", with: quoted(repository + "/r"))
            .replacing("data_directory = '\(cluster.data)'", with: "data_directory = " + quoted(data + "/data"))
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        try cluster.start()
        let sqlName = quotedIdentifier(name)
        for statement in [
            "create role \(sqlName)", "create tablespace \(sqlName) location \(quotedLiteral(space))",
            "create database \(sqlName)",
        ] { try cluster.psql(statement) }
        func sql(_ text: String) throws { try cluster.psql(text, database: HostileNamesServerTests.name) }
        try sql("create schema \(sqlName)")
        try sql("create table \(sqlName).\(sqlName) (\(sqlName) int primary key, a text) tablespace \(sqlName)")
        try sql("alter table \(sqlName).\(sqlName) owner to \(sqlName)")
        try sql("insert into \(sqlName).\(sqlName) select g, 'x' from generate_series(1, 100) g")
        _ = try site.tidemark(["init"])
        try site.tidemark(["backup", "--note", HostileNamesServerTests.name], expectSuccess: true)
        let label = try #require(
            try site.tidemark(["list", "--json"], expectSuccess: true).output.firstMatch(of: /"label" : "([^"]*)"/)?.1)
        let target = try cluster.psql(
            "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00')")
        try cluster.psql(
            "select pg_create_restore_point(\(quotedLiteral(String(HostileNamesServerTests.name.prefix(20)))))")
        try sql("delete from \(sqlName).\(sqlName) where \(sqlName) < 10")
        try sql("create table \(sqlName).gone as select 1; drop table \(sqlName).gone; truncate \(sqlName).\(sqlName)")
        try site.archiveEverything()
        let copy = site.scratch.file("copy=" + Self.name)
        return Made(
            site: site, label: String(label), target: target, directory: copy,
            mapping: [space, copy + "-space"].map { $0.replacing("=", with: "\\=") }.joined(separator: "="))
    }

    /// What could move a cursor, turn the direction of writing or end a line.
    private static func controls(in text: String) -> [String] {
        text.unicodeScalars.filter { scalar in
            switch scalar.value {
            case 0x0A: false
            case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F: true
            default: false
            }
        }.map { "U+" + String($0.value, radix: 16) }
    }

    private static let table = [name, name, name].map(quotedIdentifier).joined(separator: ".")

    /// By what they are about, each with the words that go before `--json`.
    private static func commands(_ made: Made) -> [[String]] {
        let target = ["--target-time", made.target]
        return [
            ["list"], ["show", made.label, "--tables", "1000"], ["window"], ["segments"], ["events"], ["du"],
            ["history"],
            ["around"] + target, ["status"], ["report"], ["check"], ["check", "--format", "nagios"], ["settings"],
            ["check", "--format", "openmetrics"], ["verify"], ["verify", "--wal"],
            ["expire", "--dry-run", "--keep-full", "1"],
            ["clean", "--dry-run"], ["init"], ["catalog", "status"], ["notify"],
            ["events", "--table", table], ["plan"] + target, ["plan", "--before-drop", table],
            ["plan", "--before-drop-database", name], ["plan", "--target-name", String(name.prefix(20))],
            ["plan", "--target-name", "no" + name.prefix(20)], ["plan"] + target + ["--backup", name],
            ["plan"] + target + ["--incarnation", name], ["show", name], ["remove", "--yes", name],
            ["segments", "put-aside", name], ["import", "/nowhere/" + name], ["list", "--cluster", name], [name],
            ["list", "--" + name], ["plan", "--target-time", name], ["plan", "--target-lsn", name],
            ["report", "--html", "/nowhere/" + name], ["list", "--config", "/nowhere/" + name],
            ["recover"] + target + ["--data-directory", "/nowhere/" + name],
            ["recover", "--yes", "--start", "--data-directory", made.directory] + target
                + ["--tablespace-mapping", made.mapping],
            ["recover", "--yes"] + target + ["--data-directory", made.directory, "--tablespace-mapping", made.mapping],
            ["recover-table", "-t", table, "--to-file", made.site.scratch.file("t" + name)] + target,
            ["recover-table", "-t", table, "--to-file", made.site.scratch.file("t" + name)] + target,
            ["recover-table", "-t", table, "--diff"] + target, ["recover-table", "-t", table, "--into-table"] + target,
            ["recover-table", "-t", table, "--replace", "--yes"] + target,
            ["recover-table", "-t", "a." + table, "--diff"] + target,
        ]
    }

    @Test func `no name moves a cursor, forges a line or runs anything`() throws {
        let made = try Self.made.get()
        let site = made.site
        for words in Self.commands(made) {
            let finished = try site.tidemark(words)
            let said = words.joined(separator: " ").prefix(60)
            for (text, isLog) in [(finished.output, false), (finished.errors, true)] {
                // A line of the log that goes on begins with a tabulator; servers' messages have some.
                let text = isLog ? text.replacing("\t", with: " ") : text
                #expect(Self.controls(in: text).isEmpty, "\(said): \(Self.controls(in: text))\n\(text)")
                #expect(!text.contains("\nFORGED"), "\(said):\n\(text)")
            }
            #expect(!finished.output.contains("\n FORGED"), "\(said):\n\(finished.output)")
            // Only details and hints have lines that go on.
            var label = ""
            for line in finished.errors.split(separator: "\n") {
                if !line.hasPrefix("\t") { label = String(line) }
                #expect(
                    !line.hasPrefix("\t") || label.contains(" DETAIL:  ") || label.contains(" HINT:  "),
                    "\(said):\n\(finished.errors)")
            }
            // What runs in a directory of the tests' can't write there, and says so.
            #expect(!finished.errors.contains("cannot touch"), "\(said): \(finished)")
            if words.contains("--start") {
                #expect(finished.ending == .exited(1) && finished.errors.contains("to a shell"), "\(finished)")
            } else if words.contains("--into-table") || words.last == made.mapping {
                #expect(finished.ending == .exited(0), "\(said): \(finished)")
            }
        }
        try removeCopy(made)
        #expect(try !Files.exists("pwned"))
    }

    @Test func `with --json each name is one string`() throws {
        let made = try Self.made.get()
        for words in Self.commands(made)
        where !["report", "settings", "notify", "status"].contains(words[0]) && !words.contains("--format") {
            let finished = try made.site.tidemark(words + ["--json", "--log-format", "json"])
            // A command line that isn't understood doesn't say how to answer.
            if finished.ending == .exited(2) { continue }
            for line in [finished.output] + finished.errors.split(separator: "\n").map(String.init) where !line.isEmpty
            {
                let read = try run("/usr/bin/python3", ["-c", "import json, sys; json.loads(sys.argv[1])", line])
                #expect(
                    read.ending == .exited(0), "\(words.prefix(3)): \(read.errors.suffix(200))\n\(line.prefix(2000))")
            }
        }
        try removeCopy(made)
    }

    private func removeCopy(_ made: Made) throws {
        try Files.removeTree(made.directory)
        try Files.removeTree(made.directory + "-space")
    }

    @Test func `an offered command means what it names, whatever that is called`() throws {
        let made = try Self.made.get()
        let finished = try made.site.tidemark(
            ["events", "--kind", "restore-point,drop", "--json"], expectSuccess: true)
        let commands = try run(
            "/usr/bin/python3",
            [
                "-c",
                "import json, sys; [print(e['command'].encode().hex()) for e in json.loads(sys.argv[1]) if e.get('command')]",
                finished.output,
            ])
        #expect(commands.ending == .exited(0), "\(commands)")
        let found = commands.output.split(separator: "\n")
        #expect(!found.isEmpty, "\(finished)")
        for hex in found {
            // In a directory where a name that is run is seen.
            let planned = try runAsServerUser(
                "/bin/sh",
                [
                    "-c",
                    "set -e; cd \"$2\"; eval \"$(printf %s \"$1\" | xxd -r -p | sed 's,^tidemark recover,\"$3\" plan,')\"; test ! -e pwned",
                    "sh", String(hex), made.site.scratch.path, try Executables.tidemark(),
                ], environment: ["TIDEMARK_CONFIG": made.site.configuration], expectSuccess: false)
            #expect(planned.ending == .exited(0), "\(planned)")
        }
    }
}
