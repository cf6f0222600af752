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
}
