import Configuration
import Operations
import Presentation

enum ShowCommand: Command {
    static let grammar = Grammar(
        "show", "show what is in a backup",
        description: ["One backup's description, its databases and its largest tables, all from the repository."],
        words: [.init("LABEL", "a label as in \"tidemark list\", the beginning of one, oldest or latest")],
        options: [
            .init("tables", value: "N", "show the N largest tables (default: 20)"),
            .init("json", "print JSON"),
        ],
        examples: [Grammar.Example("tidemark show 20261105T020000Z-full", "one backup")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.becomeOwner()
        let tables = try invocation.arguments.integer("tables", in: 0...1_000_000) ?? 20
        let report = try ShowJob(of: cluster, invocation.context()).run(invocation.arguments.words[0], tables: tables)
        if invocation.json {
            try invocation.print(json: ShowDocument(report))
        } else {
            invocation.print(showText(report))
        }
        return .success
    }
}
