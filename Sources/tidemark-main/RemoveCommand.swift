import BaseBackup
import Configuration
import Operations

enum RemoveCommand: Command {
    static let grammar = Grammar(
        "remove", "remove one backup, whatever the rules want",
        description: [
            "For a backup that must go: one whose backup.json is damaged, one with a wrong date, one with data that must be "
                + "deleted. Backups that grow old are removed by \"tidemark expire\".",
            "Refuses one that is in use; without --force also one that is pinned, and the last good one. Packs that another backup "
                + "refers to stay, and so does WAL, until \"tidemark expire\" finds that nothing needs it.",
        ],
        words: [.init("LABEL", "as \"tidemark list\" shows it")],
        options: [
            .init("force", "although it is pinned, or the last good one"),
            .init(
                "incarnation", value: "NAME",
                "of this incarnation of the cluster (default: the one that has the backup)"),
            .init("dry-run", "say what would be removed, and remove nothing"),
            .init("yes", letter: "y", "don't ask for confirmation"), .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark remove 20261105T020000Z-full", "asks, then removes it"),
            Grammar.Example("tidemark remove 20261105T020000Z-full --dry-run", "says what that would free"),
        ],
        exits: [(5, "a backup of this cluster is running"), (130, "the question was answered with no")])

    private struct Document: Encodable {
        let label: String
        let dryRun: Bool
        let size: Int64
        let keepsPacks: Bool
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let arguments = invocation.arguments
        let label = arguments.words[0]
        let job = try RemoveJob(
            label, force: arguments.has("force"), incarnation: arguments.value("incarnation"), of: cluster)
        let dryRun = arguments.has("dry-run")
        var removal = job.found
        if !dryRun {
            let subject =
                removal.backup.map { "The backup of \($0.stopTime), \(size(removal.size))," } ?? "Backup \(label)"
            guard
                try invocation.confirm("\(subject) will be removed for good; nothing brings it back. Continue?")
            else { return .interrupted }
            removal = try job.run()
        }
        if invocation.json {
            try invocation.print(
                json: Document(label: label, dryRun: dryRun, size: removal.size, keepsPacks: removal.keepsPacks))
        } else {
            invocation.print("backup \(label) \(dryRun ? "would be removed" : "removed"), \(size(removal.size))")
            if removal.keepsPacks { invocation.print("Its packs stay: other backups refer to them, or may.") }
        }
        return .success
    }
}
