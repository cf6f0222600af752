import Configuration
import Operations
import Presentation

enum CleanCommand: Command {
    static let grammar = Grammar(
        "clean", "remove what killed commands left behind",
        description: [
            "Removes from scratch_directory the temporary clusters of recover-table and drill whose process has died, and stops "
                + "the servers that still run in them; and from the repository and the state directory the temporary files of "
                + "such processes; and from /tmp the socket directories of recovered copies that no longer exist. What belongs to a running process, to another user or to another program is never touched: a "
                + "temporary cluster's process holds a lock on it as long as it runs.",
            "You need not run it: the next recover-table, drill or archive-push cleans up after its own kind, too.",
        ],
        options: [
            .init("dry-run", "say what would be removed, and remove nothing"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark clean --dry-run", "look first"),
            Grammar.Example("tidemark clean", "then do it"),
        ])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let dryRun = invocation.arguments.has("dry-run")
        let report = try CleanJob(of: invocation.becomeOwner(), invocation.context()).run(dryRun: dryRun)
        if invocation.json {
            try invocation.print(json: CleanDocument(report, dryRun: dryRun))
        } else {
            invocation.print(cleanText(report, dryRun: dryRun))
        }
        return .success
    }
}
