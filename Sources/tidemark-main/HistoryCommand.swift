import Configuration
import Jobs
import Monitoring
import Operations
import Platform
import WAL

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
        let journal = try JobRecords.journal(of: invocation.cluster())
        let since = days == 0 ? nil : Moment(microseconds: Clock.now - Int64(days) * 86_400_000_000)
        let contents = try journal.contents(since: since)
        for (key, reason) in contents.unreadable {
            invocation.log(.warning, "job record \"\(key)\" is passed over: \(reason)")
        }
        let jobs = contents.jobs.filter {
            (kind == nil || $0.kind == kind) && (!arguments.has("failed") || $0.result != .success)
        }
        if invocation.json {
            try invocation.print(json: jobs.map(\.printed))
            return .success
        }
        guard !jobs.isEmpty else {
            invocation.print(days == 0 ? "No jobs are recorded." : "No jobs are recorded in the last \(days) days.")
            return .success
        }
        var table = TextTable(["started", "job", "took", "result", "by", "about"], [.left, .left, .right])
        for job in jobs {
            table.add([
                wholeSeconds(job.started), job.kind.rawValue, Quantity.pretty(milliseconds: job.duration),
                job.result.rawValue, "\(job.user)@\(job.host)", about(job),
            ])
        }
        invocation.print(table.text)
        return .success
    }

    /// The error, else what the job noted, the label first.
    private static func about(_ job: JobRecord) -> String {
        if let message = job.message { return message }
        let label = job.facts["label"].map { [$0] } ?? []
        let others = job.facts.filter { $0.key != "label" && $0.key != ExpiredLog.fact }.sorted { $0.key < $1.key }
        return (label + others.map { "\($0.key) \($0.value)" }).joined(separator: ", ")
    }
}
