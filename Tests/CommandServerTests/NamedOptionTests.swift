import Platform
import Support
import Testing

/// The options that messages name exist. That the command which prints a message has them is checked wherever a test
/// runs one (`runAsServerUser`).
@Suite struct NamedOptionTests {
    /// What another program is called with, or what has been typed.
    private static let foreign = [
        "TableRecovery/DumpPrograms.swift", "TableRecovery/TableDefinition.swift", "TableRecovery/Dependents.swift",
        "Postgres/ServerProcess.swift", "Setup/ServerCommands.swift",
    ]

    @Test func `every option in a text of the sources is one of a command`() throws {
        let listed = try tidemark(["help", "--list"], expectSuccess: true).output.split(separator: "\n").map(
            String.init)
        // Most options are of these.
        let commands = ["recover", "recover-table", "segments"] + listed
        try #require(commands.count > 20)
        let root = DocumentationTests.root + "/Sources/"
        let files = try run("/usr/bin/find", [root, "-name", "*.swift"]).output.split(separator: "\n").map(String.init)
        var count = 0
        for file in files where !Self.foreign.contains(where: file.hasSuffix) {
            for (number, line) in try Files.readText(file).split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated() where !line.drop(while: { $0 == " " }).hasPrefix("//")
            {
                // A command's own file speaks of that command, and of others that it names.
                let own = Files.name(file).firstMatch(of: /^([A-Z][A-Za-z]*)Command\.swift$/).map { Self.command($0.1) }
                let named = line.matches(of: /tidemark ([a-z][a-z-]*)/).map { String($0.1) }
                for mention in NamedOptions.found(in: line) where !NamedOptions.others.contains(mention.option) {
                    count += 1
                    let meant = (mention.command.map { [$0] } ?? own.map { [$0] + named } ?? [])
                        .filter(commands.contains)
                    let has = try (meant.isEmpty ? commands : meant).contains {
                        try NamedOptions.has($0, mention.option)
                    }
                    #expect(has, "\(file):\(number + 1): \(mention.option) of \(meant)")
                }
            }
        }
        #expect(count > 150)
    }

    /// `RecoverTable` → `recover-table`
    private static func command(_ name: Substring) -> String {
        name.reduce(into: "") { $0 += ($1.isUppercase && !$0.isEmpty ? "-" : "") + $1.lowercased() }
    }

    @Test func `a misplaced option is noticed`() throws {
        #expect(try NamedOptions.misplaced(in: "HINT:  Use --delta.\n", of: "drill") == "--delta")
        #expect(try NamedOptions.misplaced(in: "HINT:  Use --delta.\n", of: "recover") == nil)
        #expect(try NamedOptions.misplaced(in: "HINT:  \"tidemark recover --delta\" does.\n", of: "drill") == nil)
        // A setting.
        #expect(try NamedOptions.misplaced(in: "HINT:  Use --scratch-directory.\n", of: "recover") == nil)
    }
}
