import Configuration
import Platform
import Support
import Testing

struct ArgumentsTests {
    static let grammar = Grammar(
        "try", "try something",
        words: [Grammar.Word("LABEL", "a label"), Grammar.Word("MORE", count: .optional, "another")],
        options: [
            Grammar.Option("target-time", value: "TIME", "a time"), Grammar.Option("yes", letter: "y", "yes"),
            Grammar.Option("map", value: "A=B", repeats: true, "a mapping"),
        ])

    @Test func `options and words are recognised in every spelling`() throws {
        let arguments = try Arguments(
            ["--target-time=a=b", "-y", "one", "--map", "1=2", "--map=3=4", "--jobs", "4", "--", "--two"],
            by: Self.grammar)
        #expect(arguments.value("target-time") == "a=b")
        #expect(arguments.has("yes"))
        #expect(arguments.words == ["one", "--two"])
        #expect(arguments.all("map") == ["1=2", "3=4"])
        #expect(arguments.settings == ["jobs": "4"])
    }

    @Test(arguments: [
        (["--targt-time", "x", "l"], "unknown option \"--targt-time\" for try", "Did you mean --target-time?"),
        (["l", "--target-time"], "option --target-time needs a value: TIME", nil),
        (["l", "--yes=no"], "option --yes takes no value", nil),
        ([], "LABEL is missing", "Usage: tidemark try LABEL [MORE] [OPTION]…"),
        (["a", "b", "c"], "unexpected argument \"c\"", "Usage: tidemark try LABEL [MORE] [OPTION]…"),
        (["l", "--target-time", "a", "--target-time", "b"], "option --target-time is given twice", nil),
        (["-z"], "unknown option \"-z\" for try", "Try \"tidemark try --help\"."),
    ])
    func `a typing error gets a suggestion`(line: [String], message: String, hint: String?) throws {
        let error = try #require(throws: UsageError.self) { try Arguments(line, by: Self.grammar) }
        #expect(error.message == message)
        #expect(error.hint == hint)
    }

    @Test func `help holds every option, argument, example and exit status`() {
        for grammar in [Grammar.archivePush, .archiveGet, Self.grammar] {
            let help = grammar.help
            for option in grammar.options + Grammar.common { #expect(help.contains("--\(option.name)")) }
            for word in grammar.words { #expect(help.contains(word.name)) }
            for example in grammar.examples { #expect(help.contains(example.line)) }
            for exit in grammar.allExits { #expect(help.contains("  \(exit.status)")) }
            #expect(help.split(separator: "\n").allSatisfy { $0.count <= 160 })
        }
    }

    @Test func `manual pages are accepted by man without a warning`() throws {
        let scratch = try Scratch()
        for grammar in [Grammar.archivePush, .archiveGet, Self.grammar] {
            let path = scratch.file("\(grammar.command).1")
            try createDurably(path, bytes: Array(grammar.manualPage(version: "1").utf8), mode: 0o644)
            let finished = try run("/usr/bin/man", ["--warnings", "-l", path])
            #expect(finished.ending == .exited(0))
            #expect(finished.errors == "")
            #expect(finished.output.contains("EXIT STATUS"))
        }
    }
}
