import Platform
import Support
import Testing

/// The command lines that people copy: those in help texts, and those on the pages.
struct CommandLineTests {
    private static let pages: [String] = {
        let root = DocumentationTests.root
        let all = (try? Files.list(root + "/docs")) ?? []
        return ["README.md"] + all.filter { $0.hasSuffix(".md") }.sorted().map { "docs/" + $0 }
    }()

    /// Lines of code that begin with tidemark, each as one line, and passages of code in a sentence that do.
    private static func commandLines(in text: String) -> [String] {
        var lines: [String] = []
        var isFenced = false
        for line in text.replacing(/\\\n */, with: "").split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") { isFenced.toggle() }
            if isFenced || line.hasPrefix("    ") {
                if let found = line.firstMatch(of: /^ *(?:\$ )?(?:sudo )?(tidemark .*)$/) {
                    lines.append(String(found.output.1))
                }
            } else {
                lines += line.matches(of: /`(tidemark [^`]+)`/).map { String($0.output.1) }
            }
        }
        return lines
    }

    /// Without what only says that more may follow, and with one of the words for which a placeholder stands.
    private static func plain(_ line: String) -> String {
        line.replacing(/\[[^\]]*\]/, with: "").replacing("…", with: "").replacing(/(status)\|\S+/) { $0.output.1 }
            .replacing(/\bTARGET\b/, with: "--target latest").replacing(/\bCOMMAND\b/, with: "list")
    }

    /// Lets the command parse a line, without doing anything.
    private func understood(_ line: String, _ names: Set<String>, _ place: String) throws {
        // As a shell divides it, up to a comment, a pipe or the next command.
        let script = "BEFORE='2026-11-05 11:59:00+01'; words() { printf '%s\\n' \"$@\"; }; words \(Self.plain(line))"
        let split = try run("/bin/bash", ["-c", script.replacing(#/ *(\|\||\||&&|>).*$/#, with: "")])
        #expect(split.ending == .exited(0), "\(place): \(line): \(split.errors)")
        var words = split.output.split(separator: "\n").map(String.init)
        words.removeFirst()
        let name = words.first ?? ""
        guard names.contains(name) else {
            Issue.record("\(place): \(line): there is no command \"\(name)\"")
            return
        }
        // PostgreSQL's own commands refuse help beside other arguments.
        if name.hasPrefix("archive-") || name == "recovery-end" { words = [name] }
        let finished = try tidemark(words + ["--help"])
        #expect(finished.ending == .exited(0), "\(place): \(line): \(finished.errors)")
    }

    private static func names() throws -> [String] {
        try tidemark(["help", "--list"], expectSuccess: true).output.split(separator: "\n").map(String.init)
    }

    @Test func `every command line in a help text is understood`() throws {
        let names = try Self.names()
        var count = 0
        for name in names {
            let help = try tidemark([name, "--help"], expectSuccess: true).output
            let examples = help.split(separator: "\n").drop { $0 != "Examples:" }
                .compactMap { $0.firstMatch(of: /^ +(?:sudo )?(tidemark .*)$/).map { String($0.output.1) } }
            #expect(!examples.isEmpty, "\(name)")
            for line in examples { try understood(line, Set(names), name) }
            count += examples.count
        }
        #expect(count >= 40)
    }

    @Test func `every command line on a page is understood`() throws {
        let names = Set(try Self.names() + ["version", "help"])
        var seen: Set<String> = []
        for page in Self.pages {
            let text = try Files.readText(DocumentationTests.root + "/" + page)
            for line in Self.commandLines(in: text) where seen.insert(line).inserted {
                // Fields of a line in pg_ident.conf.
                if line == "tidemark postgres tidemark" { continue }
                try understood(line, names, page)
            }
        }
        #expect(seen.count > 100)
    }

    /// The rows of docs/migrating.md's table, and names from other tools' manuals.
    @Test func `another tool's name for a command is answered with tidemark's`() throws {
        let names = Set(try Self.names())
        var pairs: [(theirs: String, ours: String)] = [
            ("backup-list", "list"), ("check-backup", "verify"), ("wal-push", "archive-push"),
            ("backup-fetch", "recover"), ("show-backup", "show"), ("forget", "expire"), ("list-backup", "list"),
            ("restore-table", "recover-table"), ("archive_push", "archive-push"), ("recovr", "recover"),
        ]
        for row in try Files.readText(DocumentationTests.root + "/docs/migrating.md").split(separator: "\n") {
            let columns = row.split(separator: "|").map { column in
                column.matches(of: /`(?:barman |tidemark )?([a-z-]+)[^`]*`/).map { String($0.output.1) }
            }
            guard row.hasPrefix("|"), columns.count == 4, let ours = columns[3].first, names.contains(ours) else {
                continue
            }
            pairs += (columns[1] + columns[2]).filter { $0.contains("-") || $0 == "restore" || $0 == "info" }
                .filter { !names.contains($0) && !$0.contains("retention") }.map { ($0, ours) }
        }
        #expect(pairs.count >= 14, "\(pairs)")
        for (theirs, ours) in pairs {
            #expect(names.contains(ours))
            let done = try tidemark([theirs])
            #expect(done.ending == .exited(2), "\(theirs): \(done)")
            #expect(done.errors.contains("Did you mean \"tidemark \(ours)\"?"), "\(theirs): \(done.errors)")
            let help = try tidemark(["help", theirs])
            #expect(help.errors.contains("Did you mean \"\(ours)\"?"), "\(theirs): \(help.errors)")
        }
    }

    @Test func `options that every command has may precede the command`() throws {
        let scratch = try Scratch()
        let config = scratch.file("tidemark.conf")
        let text = "repository = '\(scratch.path)/r'\n[cluster main]\ndata_directory = '\(scratch.path)/d'\n"
        try createDurably(config, bytes: Array(text.utf8), mode: 0o644)
        let expected = try tidemark(["settings", "--config", config, "--cluster", "main"], expectSuccess: true).output
        let leading = [
            ["-c", config], ["--config", config], ["--config=\(config)"], ["--cluster=main", "-c", config],
            ["-v", "--config", config, "--cluster", "main"],
        ]
        for options in leading {
            #expect(try tidemark(options + ["settings"], expectSuccess: true).output == expected, "\(options)")
        }
        let flag = try tidemark(["--compress-level", "7", "-c", config, "settings"], expectSuccess: true)
        let after = try tidemark(["settings", "-c", config, "--compress-level", "7"], expectSuccess: true)
        #expect(flag.output == after.output && flag.output != expected)
        // In a restore_command, a mistake must not end a recovery.
        let get = try tidemark(["-c", config, "archive-get", "00000002.history", scratch.file("f")])
        #expect(get.ending == .exited(200), "\(get)")
        for (line, says) in [
            (["--json", "list"], "option \"--json\" precedes the command"), (["-c", config], "precedes the command"),
            (["--confg", config, "list"], "option \"--confg\" precedes the command"),
            (["-c", config, "restore"], "Did you mean \"tidemark recover\"?"),
        ] {
            let refused = try tidemark(line)
            #expect(refused.ending == .exited(2) && refused.errors.contains(says), "\(line): \(refused)")
        }
    }
}
