import Configuration
import Expiring
import Operations
import Presentation

enum DuCommand: Command {
    static let grammar = Grammar(
        "du", "show what takes up space in the repository",
        description: [
            "Backups one by one, WAL day by day, the growth, and what \"tidemark expire\" would free. What is from before initdb or "
                + "pg_upgrade counts as well."
        ],
        options: [
            .init("days", value: "N", "show WAL of the last N days (default: 14; 0 shows all)"),
            .init("json", "print JSON"),
        ],
        examples: [Grammar.Example("tidemark du", "the whole repository")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.becomeOwner()
        let shown = try invocation.arguments.integer("days", in: 0...36_500) ?? 14
        let storage = try StorageJob(
            of: cluster, policy: invocation.policy(for: cluster), invocation.context()
        ).run()
        let days = shown == 0 ? nil : shown
        if invocation.json {
            try invocation.print(json: StorageDocument(storage, days: days))
        } else {
            invocation.print(storageText(storage, days: days))
        }
        return .success
    }
}
