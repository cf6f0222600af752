import Platform
import Support
import Testing

/// Values that can't be meant.
@Suite struct AbsurdArgumentTests {
    /// A configuration whose server and repository nobody has: what is refused is refused before they are asked.
    private static let configuration: Result<(Scratch, String), any Error> = Result {
        let scratch = try Scratch()
        let path = scratch.file("tidemark.conf")
        let text = """
            repository = '\(scratch.file("repository"))'
            state_directory = '\(scratch.file("state"))'
            [cluster main]
            data_directory = '\(scratch.file("data"))'

            """
        try createDurably(path, bytes: Array(text.utf8), mode: 0o644)
        _ = try run("/bin/chmod", ["-R", "a+rwX", scratch.path])
        return (scratch, path)
    }

    private func tell(_ words: [String]) throws -> Finished {
        let (scratch, path) = try Self.configuration.get()
        return try runAsServerUser(
            "/usr/bin/env", ["-C", scratch.path, Executables.tidemark()] + words,
            environment: ["TIDEMARK_CONFIG": path], expectSuccess: false)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let words: [String]
        let says: String
        var testDescription: String { words.joined(separator: " ").prefix(60).description }

        init(_ words: [String], _ says: String) { (self.words, self.says) = (words, says) }

        private static let long = String(repeating: "ä", count: 1001)

        static let all = [
            Row(["backup", "--pin-until", "2020-01-01"], "the date of option --pin-until, 2020-01-01, is over"),
            Row(["backup", "--pin-until", "1969-12-31"], "--pin-until"),
            Row(["backup", "--pin-until", "2030-02-30"], "takes a date"),
            Row(["backup", "--pin-until", "10000-01-01"], "takes a date"),
            Row(["backup", "--pin-until", "tomorrow"], "takes a date"),
            Row(["backup", "--note", long], "takes at most 1000 characters, not 1001"),
            Row(["segments", "put-aside", "00000002.history", "--reason", long], "takes at most 1000 characters"),
            Row(["backup", "--rate-limit", "0"], "takes a size per second"),
            Row(["backup", "--rate-limit", "-1MB"], "takes a size per second"),
            Row(["backup", "--rate-limit", "9223372036854775807TB"], "takes a size per second"),
            Row(["verify", "--rate-limit", "0"], "takes a size per second"),
            Row(["verify", "--wal", "--rate-limit", "much"], "takes a size per second"),
            Row(["backup", "--jobs", "0"], "from 1 to 64"), Row(["backup", "--jobs", "65"], "from 1 to 64"),
            Row(["backup", "--wal-wait-timeout", "9999999999999d"], "must be a duration"),
            Row(["backup", "--wal-wait-timeout", "-1s"], "must be a duration"),
            Row(["backup", "--compress-level", "1000000"], "compress_level"),
            Row(["backup", "--type", "none"], "--type takes full"),
            Row(["expire", "--keep-full", "-1"], "from 0 to"), Row(["expire", "--keep-full", "1e9"], "from 0 to"),
            Row(["expire", "--keep-wal", "99999999d"], "must be"),
            Row(["expire", "--recovery-window", "-1d"], "must be"),
            Row(["du", "--days", "36501"], "from 0 to 36500"), Row(["du", "--days", "-1"], "from 0 to 36500"),
            Row(["history", "--days", "99999999999999999999"], "from 0 to 36500"),
            Row(["status", "--days", "0"], "from 7 to 120"), Row(["report", "--days", "121"], "from 7 to 120"),
            Row(["show", "x", "--tables", "-1"], "from 0 to"), Row(["events", "--limit", "0"], "from 1 to"),
            Row(["events", "--limit", "0x10"], "from 1 to"), Row(["events", "--kind", "x,drop"], "unknown kind"),
            Row(["events", "--from", "2026-12-01 00:00Z", "--to", "2026-11-01 00:00Z"], "--from is after --to"),
            Row(["events", "--from", "0000-01-01 00:00Z"], "there is no year"),
            Row(["events", "--from", "2026-02-29 00:00Z"], "there is no day"),
            Row(["verify", "--wal", "--from", "2/0", "--to", "1/0"], "--from is after --to"),
            Row(
                ["verify", "--wal", "--from", "2026-12-01 00:00Z", "--to", "2026-11-01 00:00Z"],
                "--from is after --to"),
            Row(["verify", "--wal", "--from", "x/y"], "not a date and time"),
            Row(["around", "--target-time", "2026-11-01 24:00Z"], "there is no hour"),
            Row(["around", "--target-time", "2026-11-01 00:00Z", "--count", "1001"], "from 1 to 1000"),
            Row(["around", "--target-time", "2026-11-01 00:00+16"], "invalid time zone offset"),
            Row(["plan", "--target-time", "10000-01-01 00:00Z"], "expected"),
            Row(["plan", "--target-lsn", "100000000/0"], "invalid LSN"),
            Row(["plan", "--target-xid", "-1"], "invalid transaction id"),
            Row(["plan", "--target-xid", "18446744073709551616"], "invalid transaction id"),
            Row(["plan", "--target-name", String(repeating: "x", count: 64)], "1 to 63 bytes"),
            Row(["plan", "--target", "latest", "--target-timeline", "4294967296"], "--target-timeline takes"),
            Row(["plan", "--target", "latest", "--target-timeline", "0"], "--target-timeline takes"),
            Row(["recover", "--target", "latest", "--set", "=1"], "--set takes NAME=VALUE"),
            Row(["recover", "--target", "latest", "--tablespace-mapping", "a=b"], "two absolute paths"),
            Row(["recover", "--target", "latest", "--target-action", "stop"], "--target-action"),
            Row(["recover", "--target", "latest", "--target-action", "pause"], "cannot be used with --target latest"),
            Row(["plan", "--target", "latest", "--target-action", "shutdown"], "cannot be used with --target latest"),
            Row(
                ["recover", "--target", "latest", "--standby", "--target-action", "pause"],
                "cannot be used with --standby"),
            Row(["drill", "--set", "x"], "--set takes NAME=VALUE"),
            Row(["check", "--only", "all"], "there is no check"), Row(["check", "--format", "xml"], "--format takes"),
            Row(["show", ""], "LABEL is empty"), Row(["remove", ""], "LABEL is empty"),
            Row(["import", ""], "DIR is empty"), Row(["verify", ""], "LABEL is empty"),
        ]
    }

    @Test(arguments: Row.all) func `what can't be meant is refused before anything is done`(_ row: Row) throws {
        let finished = try tell(row.words)
        #expect(finished.ending == .exited(2), "\(finished)")
        #expect(finished.errors.contains(row.says), "\(finished)")
    }

    @Test func `no option takes an empty value`() throws {
        let commands = try tell(["help", "--list"]).output.split(separator: "\n").map(String.init)
        #expect(commands.count > 15)
        var count = 0
        for command in commands where !["help", "version"].contains(command) {
            let help = try tell([command, "--help"]).output
            for match in help.matches(of: #/--([a-z][a-z-]+) [A-Z][A-Za-z.|=]*\ \ /#) {
                let finished = try tell([command, "--\(match.1)", ""])
                #expect(finished.ending == .exited(command == "archive-get" ? 200 : 2), "\(command): \(finished)")
                #expect(finished.errors.contains("option --\(match.1) is empty"), "\(command): \(finished)")
                count += 1
            }
        }
        #expect(count > 60, "\(count)")
    }
}
