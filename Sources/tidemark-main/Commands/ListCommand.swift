import Configuration
import Operations
import Platform
import Presentation

enum ListCommand: Command {
    static let grammar = Grammar(
        "list", "list the base backups",
        description: [
            "Lists every complete backup of the cluster, oldest first. Backups that are still running or were interrupted are named below the "
                + "table; they can't be used."
        ],
        options: [.init("json", "print JSON")],
        examples: [Grammar.Example("tidemark list", "all backups")],
        exits: [
            (
                3,
                "WAL that a backup needs to reach later moments is missing or cannot be used, a verification found damage, "
                    + "or a backup or an earlier incarnation cannot be read"
            )
        ])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.becomeOwner()
        let report = try ListJob(of: cluster, policy: invocation.policy(for: cluster), invocation.context()).run()
        if invocation.json {
            try invocation.print(json: listRows(report))
        } else {
            invocation.print(listText(report))
        }
        for history in report.lost { invocation.log(.error, history) }
        return report.isGood ? .success : .problemsFound
    }
}
