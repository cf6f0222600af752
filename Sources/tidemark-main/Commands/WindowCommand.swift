import Configuration
import Operations
import Presentation

enum WindowCommand: Command {
    static let grammar = Grammar(
        "window", "show the moments that can be recovered to",
        description: [
            "Shows the range of moments for every backup and timeline. The first moment is the end of the backup; the last is the last "
                + "transaction in the WAL that follows it without a gap."
        ],
        options: [.init("json", "print JSON")],
        examples: [
            Grammar.Example("tidemark window", "how far back, how far forward, how much would be lost now?")
        ],
        exits: [
            (
                3,
                "no moment can be recovered to, a window ends where WAL is missing or cannot be used, or a backup cannot be read"
            )
        ])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.becomeOwner()
        let report = try WindowJob(of: cluster, policy: invocation.policy(for: cluster), invocation.context()).run()
        if invocation.json {
            try invocation.print(json: WindowDocument(report))
        } else {
            invocation.print(windowText(report))
        }
        return report.isGood ? .success : .problemsFound
    }
}
