import Configuration
import Jobs
import Operations
import Presentation

enum HistoryCommand: Command {
    static let grammar = Grammar(
        "history", "show every backup, verification, drill, expiry and recovery",
        description: [
            "Shows when each job began, how long it took, how it ended, who started it, and its details. The records are in the "
                + "repository, so that they outlive this machine."
        ],
        options: [
            Grammar.Option("days", value: "N", "only the last N days (default: 90; 0 shows all)"),
            Grammar.Option(
                "job", value: "KIND", "only one kind: " + JobKind.allCases.map(\.rawValue).joined(separator: ", ")),
            Grammar.Option("failed", "only jobs that did not succeed"),
            Grammar.Option("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark history", "the last 90 days"),
            Grammar.Example("tidemark history --job backup --failed --days 0", "every backup that ever failed"),
        ])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        let days = try arguments.integer("days", in: 0...36_500) ?? 90
        let kind = try arguments.value("job").map { name throws(UsageError) in
            guard let kind = JobKind(rawValue: name) else {
                let names = JobKind.allCases.map(\.rawValue)
                throw UsageError(
                    "option --job takes one of \(names.joined(separator: ", ")), not \"\(name)\"",
                    hint: suggestion(for: name, among: names).map { "Did you mean \"\($0)\"?" })
            }
            return kind
        }
        let jobs = try HistoryJob(of: invocation.becomeOwner(), invocation.context())
            .run(days: days == 0 ? nil : days, kind: kind, isFailed: arguments.has("failed"))
        if invocation.json {
            try invocation.print(json: jobs.map(\.printed))
        } else {
            invocation.print(historyText(jobs, days: days == 0 ? nil : days))
        }
        return .success
    }
}
