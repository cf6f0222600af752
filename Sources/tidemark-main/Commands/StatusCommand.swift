import Configuration
import Operations
import Presentation

enum StatusCommand: Command {
    static let grammar = Grammar(
        "status", "show the cluster's protection on one screen",
        description: [
            "Shows how much would be lost now, how long a recovery would take, a chart of the last weeks (backups, WAL, verifications, "
                + "drills), how far back recovery reaches, and what isn't well."
        ],
        options: [Grammar.Option("days", value: "N", "how many days to show (7 to 120; default: 28)")],
        examples: [Grammar.Example("tidemark status", "is everything all right?")],
        exits: [(3, "a check isn't well")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let days = try invocation.arguments.integer("days", in: 7...120) ?? 28
        let cluster = try invocation.becomeOwner()
        let report = try CheckJob(of: cluster, in: invocation.configuration(), invocation.installation()).run()
        invocation.print(
            statusText(report.observation, report.results, days: days, paint: Terminal.paint), hasColours: true)
        return report.isGood ? .success : .problemsFound
    }
}
