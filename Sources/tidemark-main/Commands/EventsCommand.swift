import Catalog
import Configuration
import Operations
import Platform
import Presentation
import WAL

enum EventsCommand: Command {
    static let grammar = Grammar(
        "events", "show what happened: drops, truncations, restore points, timeline switches",
        description: [
            "Reads the events from the archived WAL, newest first. The names of relations come from the relation maps of the backups; what no "
                + "backup knows is shown with its OIDs. Each destructive event comes with the command that recovers to just "
                + "before it, or with the reason why there is none. Rewrites (VACUUM FULL, CLUSTER, REINDEX, ALTER TABLE) are shown "
                + "with --kind rewrite only. Gaps in WAL are always shown: it is not known what happened there."
        ],
        options: [
            .init("from", value: "TIME", "nothing earlier"),
            .init("to", value: "TIME", "nothing later"),
            .init(
                "table", value: "NAME",
                "only this table: table, schema.table or database.schema.table, as SQL writes names"),
            .init(
                "kind", value: "KINDS",
                "only these, separated by commas: " + Event.Kind.allCases.map(\.rawValue).joined(separator: ", ")),
            .init("limit", value: "N", "at most N events (default: 100)"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark events --kind drop,truncate", "what was lost, and how to get it back"),
            Grammar.Example("tidemark events --table shop.public.orders", "what happened to one table"),
        ],
        exits: [(3, "WAL is missing in the time that is shown, or a timeline's history file is missing or damaged")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let filter = try filter(invocation)
        let cluster = try invocation.becomeOwner()
        let report = try EventsJob(of: cluster, policy: invocation.policy(for: cluster), invocation.context())
            .run(filter)
        if invocation.json {
            try invocation.print(json: eventDocuments(report))
        } else {
            invocation.print(eventsText(report))
        }
        return report.isWhole ? .success : .problemsFound
    }

    private static func filter(_ invocation: Invocation) throws -> EventFilter {
        let arguments = invocation.arguments
        let zone = try invocation.becomeOwner().timezone
        var filter = EventFilter(limit: try arguments.integer("limit", in: 1...1_000_000) ?? 100)
        filter.from = try arguments.value("from").map { try Moment(parsing: $0, zone: zone) }
        filter.to = try arguments.value("to").map { try Moment(parsing: $0, zone: zone) }
        if let from = filter.from, let to = filter.to, from > to { throw UsageError("--from is after --to") }
        filter.table = arguments.value("table")
        if let words = arguments.value("kind") {
            filter.kinds = try Set(
                words.split(separator: ",").map { word throws(UsageError) in
                    guard let kind = Event.Kind(rawValue: String(word)) else {
                        let all = Event.Kind.allCases.map(\.rawValue)
                        throw UsageError(
                            "unknown kind of event \"\(word)\"",
                            hint: suggestion(for: String(word), among: all).map { "Did you mean \"\($0)\"?" }
                                ?? "Kinds are \(all.joined(separator: ", ")).")
                    }
                    return kind
                })
        }
        return filter
    }
}
