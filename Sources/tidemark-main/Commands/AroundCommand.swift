import Configuration
import Operations
import Presentation
import WAL

enum AroundCommand: Command {
    static let grammar = Grammar(
        "around", "show the transactions around a moment",
        description: [
            "Shows the last transactions that a recovery to this time would include, and the first ones it wouldn't, with what they changed. "
                + "Transactions are in WAL order; their commit times are taken slightly earlier and may be out of order. "
                + "WAL that is missing among them is shown in its place."
        ],
        options: [
            .init("target-time", value: "TIME", "the moment"),
            .init("target-timeline", value: "N", "the timeline to follow (default: the newest)"),
            .init("count", value: "N", "number of transactions on either side (default: 5)"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example(
                "tidemark around --target-time '2026-11-05 09:59:00 Europe/Berlin'", "what happened about then")
        ],
        exits: [(3, "WAL is missing among what is shown, or a timeline's history file is missing or damaged")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        guard let text = arguments.value("target-time") else {
            throw UsageError("no moment", hint: "Name one with --target-time.")
        }
        let cluster = try invocation.becomeOwner()
        let moment = try Moment(parsing: text, zone: cluster.timezone)
        let count = try arguments.integer("count", in: 1...1000) ?? 5
        let timeline = try arguments.integer("target-timeline", in: 1...Int(UInt32.max)).map { TimelineID(UInt32($0)) }
        let report = try AroundJob(of: cluster, policy: invocation.policy(for: cluster), invocation.context())
            .run(moment, on: timeline, count: count)
        if invocation.json {
            try invocation.print(json: AroundDocument(report))
        } else {
            invocation.print(aroundText(report))
        }
        return report.isWhole ? .success : .problemsFound
    }
}
