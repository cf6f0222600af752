import Configuration
import Operations
import Platform
import Presentation

enum CatalogCommand: Command {
    static let grammar = Grammar(
        "catalog", "show or rebuild the local index of the repository",
        description: [
            "The catalog is an SQLite file under state_directory that says what every archived segment contains. Nothing is stored only "
                + "there: it may be deleted at any time, and every command that uses it brings it up to date first."
        ],
        words: [.init("status|rebuild", "what to do")],
        options: [.init("json", "print JSON")],
        examples: [
            Grammar.Example("tidemark catalog status", "whether it is intact, and how large it is"),
            Grammar.Example("tidemark catalog rebuild", "read every segment's head again"),
        ],
        exits: [(3, "the catalog is damaged; the next use rebuilds it")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let word = invocation.arguments.words.first ?? ""
        guard ["status", "rebuild"].contains(word) else {
            throw UsageError("catalog takes \"status\" or \"rebuild\", not \"\(word)\"")
        }
        let report = try CatalogJob(of: invocation.becomeOwner(), invocation.context())
            .run(isRebuilding: word == "rebuild")
        if invocation.json {
            try invocation.print(json: CatalogDocument(report))
        } else {
            invocation.print(catalogText(report))
            for problem in report.problems { invocation.log(.error, problem) }
        }
        return report.problems.isEmpty ? .success : .problemsFound
    }
}
