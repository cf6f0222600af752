import Catalog
import Configuration
import Operations
import Platform
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

    private struct Document: Encodable {
        let kind: String
        let time: String?
        let timeline: UInt32
        let lsn: String
        let xid: UInt32?
        let objects: [String]
        let files: [String]
        let detail: String?
        let command: String?
        /// Why no command is told.
        let unreachable: String?
    }

    /// Words that must be repeated on other tidemark command lines to mean the same cluster.
    private static func sameCluster(_ invocation: Invocation) -> String {
        ["config", "cluster"].compactMap { name in
            invocation.arguments.value(name).map { " --\(name) \(shellQuoted($0))" }
        }.joined()
    }

    private struct Way {
        var command: String?
        var obstacle: PlaceObstacle?
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let filter = try filter(invocation)
        let access = try invocation.catalogAccess()
        let names = BackupNames(access, invocation.context())
        let policy = try invocation.policy(for: access.cluster)
        let (events, nameless, places) = try access.ask { catalog in
            let gaps = try catalog.report(backups: access.spans, expired: access.expired(by: policy)).gaps
            let search = try EventSearch(catalog, names: names.names(at:))
            return (
                try search.events(filter, among: gaps), try search.nameless(filter),
                try ReachablePlaces(catalog, backups: access.spans)
            )
        }
        if let newest = nameless.first {
            let count = nameless.count
            invocation.log(
                .warning,
                count == 1
                    ? "1 drop or truncation is not shown, and may be this table's"
                    : "\(count) drops or truncations are not shown, and may be this table's",
                detail: "No backup's relation map knows the names; the newest is at LSN \(newest.lsn)"
                    + (newest.time.map { ", \($0)." } ?? "."),
                hint: "Without --table, they are shown with their OIDs.")
        }
        let lost = try access.catalog.lostHistories()
        for history in lost { invocation.log(.error, history) }
        let status: ExitStatus =
            lost.isEmpty && !events.contains { $0.kind == .gap } ? .success : .problemsFound
        let same = sameCluster(invocation)
        func way(_ event: Event) -> Way {
            guard let target = event.target else { return Way() }
            let (position, words) =
                switch target {
                case .before(let lsn): (lsn, "--target-lsn \(lsn) --exclusive")
                case .restorePoint(let name): (event.lsn, "--target-name \(shellQuoted(name))")
                }
            do throws(ReachablePlaces.Unreached) {
                let timeline = try places.timeline(to: position, on: event.timeline)
                let option = timeline.map { " --target-timeline \($0)" } ?? ""
                return Way(command: "tidemark recover\(same) \(words)\(option)")
            } catch { return Way(obstacle: error.obstacle) }
        }
        if invocation.json {
            try invocation.print(
                json: events.map { event in
                    let way = way(event)
                    return Document(
                        kind: event.kind.rawValue, time: event.time?.iso8601, timeline: event.timeline.rawValue,
                        lsn: event.lsn.description, xid: event.xid, objects: event.objects,
                        files: event.unnamed.map(\.description), detail: event.detail, command: way.command,
                        unreachable: way.obstacle?.sentence)
                })
            return status
        }
        guard !events.isEmpty else {
            invocation.print("No such events are in the archive.")
            return status
        }
        for event in events {
            invocation.print(line(event))
            guard event.kind.isDestructive else { continue }
            let way = way(event)
            if let command = way.command { invocation.print("    before it: \(command)") }
            if let obstacle = way.obstacle { invocation.print("    cannot be reached: \(obstacle.sentence)") }
        }
        if events.count(where: { $0.kind != .gap }) == filter.limit {
            invocation.print("There may be more: \(filter.limit) events are shown (--limit).")
        }
        return status
    }

    private static func line(_ event: Event) -> String {
        var parts = [event.time?.description ?? "(no time)", event.kind.rawValue]
        if !event.objects.isEmpty { parts.append(event.objects.map { printable($0) }.joined(separator: ", ")) }
        if !event.unnamed.isEmpty {
            let shown = event.unnamed.prefix(4).map { "file \($0)" }.joined(separator: ", ")
            parts.append(shown + (event.unnamed.count > 4 ? ", and \(event.unnamed.count - 4) more" : ""))
        }
        if let detail = event.detail { parts.append(printable(detail)) }
        var place = ["LSN \(event.lsn)", "timeline \(event.timeline)"]
        if let xid = event.xid, xid != 0 { place.append("transaction \(xid)") }
        return parts.joined(separator: "  ") + "  (" + place.joined(separator: ", ") + ")"
    }

    private static func filter(_ invocation: Invocation) throws -> EventFilter {
        let arguments = invocation.arguments
        let zone = try invocation.cluster().timezone
        var filter = EventFilter(limit: try arguments.integer("limit", in: 1...1_000_000) ?? 100)
        filter.from = try arguments.value("from").map { try Moment(parsing: $0, zone: zone) }
        filter.to = try arguments.value("to").map { try Moment(parsing: $0, zone: zone) }
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
