import Configuration
import Expiring
import Operations
import Presentation

enum RemoveCommand: Command {
    static let grammar = Grammar(
        "remove", "remove one backup, whatever the rules say",
        description: [
            "For a backup that must be removed: one whose backup.json is damaged, that has a wrong date, or that has data that must be "
                + "deleted. Old backups are removed by \"tidemark expire\".",
            "Refuses one that is in use; without --force, also one that is pinned, the last good one, and the only good one from "
                + "which a timeline can be recovered that somebody may be on. Packs that another backup refers to stay, and so does "
                + "WAL, until \"tidemark expire\" finds that nothing needs it.",
        ],
        words: [.init("LABEL", "the whole label, as \"tidemark list\" shows it")],
        options: [
            .init("force", "remove it even if it is pinned, or the last good one, also of a timeline"),
            .init(
                "incarnation", value: "NAME",
                "of this incarnation of the cluster (default: the one that has the backup)"),
            .init("dry-run", "say what would be removed, and remove nothing"),
            .init("yes", letter: "y", "don't ask for confirmation"), .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark remove 20261105T020000Z-full", "ask, then remove it"),
            Grammar.Example("tidemark remove 20261105T020000Z-full --dry-run", "say how much that would free"),
        ],
        exits: [(5, "a backup of this cluster is running"), (130, "the question was answered with no")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        let job = try RemoveJob(
            arguments.words[0], force: arguments.has("force"), incarnation: arguments.value("incarnation"),
            of: invocation.becomeOwner(), invocation.context())
        let dryRun = arguments.has("dry-run")
        var removal = job.found
        if !dryRun {
            guard try invocation.confirm(removalQuestion(removal)) else { return .interrupted }
            removal = try job.run()
        }
        if invocation.json {
            try invocation.print(json: RemovalDocument(removal, dryRun: dryRun))
        } else {
            invocation.print(removalText(removal, dryRun: dryRun))
        }
        return .success
    }
}
