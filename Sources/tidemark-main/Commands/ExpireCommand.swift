import Configuration
import Jobs
import Operations
import Platform
import Presentation

enum ExpireCommand: Command {
    static let grammar = Grammar(
        "expire", "remove backups and WAL that no rule keeps",
        description: [
            "Applies the rules of [retention] (docs/retention.md) and says for each backup why it is kept or removed. The newest good backup, "
                + "pinned ones, those in use, and whatever a kept one needs always stay. Without rules, nothing is removed.",
            "The same rules apply to backups from before initdb or pg_upgrade, in each incarnation of the cluster separately; the newest good "
                + "backup of each incarnation always stays.",
            "Also removes what interrupted backups left. Runs after every successful \"tidemark backup\" unless that has --no-expire.",
        ],
        options: [
            .init("dry-run", "say what would be removed, and remove nothing"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark expire --dry-run", "look first"),
            Grammar.Example("tidemark expire", "then do it"),
        ],
        exits: [(3, "something could not be removed"), (5, "a backup of this cluster is running")])

    static let jobKind: JobKind? = .expire

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.becomeOwner()
        let dryRun = invocation.arguments.has("dry-run")
        let job = try ExpireJob(
            of: cluster, by: invocation.policy(for: cluster), JobWatch.origin(), invocation.context())
        let expiry = try job.run(dryRun: dryRun)
        if invocation.json {
            try invocation.print(json: ExpireDocument(expiry, of: job.current, dryRun: dryRun))
        } else {
            invocation.print(expireLines(expiry, dryRun: dryRun).joined(separator: "\n"))
        }
        return invocation.conclude(expiry)
    }
}
