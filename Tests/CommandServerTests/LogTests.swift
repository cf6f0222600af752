import Platform
import Support
import Testing

/// The log lines of both executables, in the requested form.
@Suite struct LogTests {
    /// Parses every line with another JSON parser, and returns the wanted keys, tab-separated.
    private func parsed(_ lines: String, _ keys: [String]) throws -> [String] {
        let program = """
            import json, sys
            for line in sys.argv[1].splitlines():
                record = json.loads(line)
                print("\\t".join(repr(record.get(key)) for key in sys.argv[2:]))
            """
        let finished = try run("/usr/bin/python3", ["-c", program, lines] + keys)
        try #require(finished.ending == .exited(0), "\(lines)\n\(finished.errors)")
        return finished.output.split(separator: "\n").map(String.init)
    }

    private func configuration(_ scratch: Scratch, _ lines: String = "") throws -> String {
        let path = scratch.file("tidemark.conf")
        let text = "repository = '\(scratch.file("none"))'\n\(lines)[cluster main]\ndata_directory = '/nowhere'\n"
        try createDurably(path, bytes: Array(text.utf8), mode: 0o644)
        return path
    }

    @Test func `JSON has PostgreSQL's keys, whatever the message holds`() throws {
        let scratch = try Scratch()
        let config = try configuration(scratch)
        let path = scratch.file("quote\" back\\slash\nnew\u{1}line é")
        let push = try tidemark(["archive-push", "--config", config, "--log-format", "json", path])
        #expect(push.ending == .exited(1))
        let pushed = try parsed(push.errors, ["error_severity", "application_name"])
        #expect(pushed == ["'ERROR'\t'tidemark'"], "\(push.errors)")
        #expect(try parsed(push.errors, ["message"])[0].contains("quote\" back\\\\slash\\nnew\\x01line é"))

        let list = try tidemark(["list", "--config", config, "--log-format=json"])
        #expect(list.ending == .exited(1))
        let listed = try parsed(list.errors, ["error_severity", "message", "hint"])
        #expect(listed.count == 1 && listed[0].hasPrefix("'ERROR'\t") && !listed[0].hasSuffix("None"), "\(list.errors)")
        #expect(try parsed(list.errors, ["timestamp"])[0].hasSuffix(" UTC'"), "\(list.errors)")
    }

    @Test func `the configuration sets it for every command, and a flag overrides it`() throws {
        let scratch = try Scratch()
        let config = try configuration(scratch, "log_format = json\n")
        for arguments in [
            ["archive-get", "00000002.history", scratch.file("x")], ["list"], ["plan", "--target", "latest"],
        ] {
            let finished = try tidemark(arguments + ["--config", config])
            #expect(try parsed(finished.errors, ["error_severity"]) == ["'ERROR'"], "\(finished.errors)")
            let text = try tidemark(arguments + ["--config", config, "--log-format", "text"])
            #expect(text.errors.contains("] ERROR:  "), "\(text.errors)")
        }
        let wrong = try tidemark(["list", "--config", config, "--log-format", "yaml"])
        #expect(wrong.ending == .exited(2))
        #expect(wrong.errors.contains("log_format must be one of text, json"), "\(wrong.errors)")
    }
}
