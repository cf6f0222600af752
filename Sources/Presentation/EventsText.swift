import Catalog
public import Operations
import Platform
import WAL

/// What happened, newest first, with the commands that recover to before what is lost by it.
public func eventsText(_ report: EventsReport) -> String {
    guard !report.events.isEmpty else { return "No such events are in the archive." }
    var lines: [String] = []
    for event in report.events {
        lines.append(line(event))
        guard event.kind.isDestructive else { continue }
        switch report.way(to: event) {
        case .recovery(let target, let timeline)?:
            lines.append("    before it: \(command(target, timeline))")
        case .none(let obstacle)?: lines.append("    cannot be reached: \(obstacle.sentence)")
        case nil: break
        }
    }
    if report.isFull { lines.append("There may be more: \(report.limit) events are shown (--limit).") }
    return joined(lines)
}

/// The same, as machines read it.
public func eventDocuments(_ report: EventsReport) -> [EventDocument] {
    report.events.map { event in
        var (words, unreachable): (String?, String?) = (nil, nil)
        switch report.way(to: event) {
        case .recovery(let target, let timeline)?: words = command(target, timeline)
        case .none(let obstacle)?: unreachable = obstacle.sentence
        case nil: break
        }
        return EventDocument(
            kind: event.kind.rawValue, time: event.time?.iso8601, timeline: event.timeline.rawValue,
            lsn: event.lsn.description, xid: event.xid, objects: event.objects,
            files: event.unnamed.map(\.description), detail: event.detail, command: words, unreachable: unreachable)
    }
}

private func command(_ target: Event.Target, _ timeline: TimelineID?) -> String {
    let words =
        switch target {
        case .before(let lsn): "--target-lsn \(lsn) --exclusive"
        case .restorePoint(let name): "--target-name \(shellQuoted(name))"
        }
    return runnable("tidemark recover \(words)" + (timeline.map { " --target-timeline \($0)" } ?? ""))
}

private func line(_ event: Event) -> String {
    var parts = [event.time?.description ?? "(no time)", event.kind.rawValue]
    if !event.objects.isEmpty { parts.append(event.objects.joined(separator: ", ")) }
    if !event.unnamed.isEmpty {
        let shown = event.unnamed.prefix(4).map { "file \($0)" }.joined(separator: ", ")
        parts.append(shown + (event.unnamed.count > 4 ? ", and \(event.unnamed.count - 4) more" : ""))
    }
    if let detail = event.detail { parts.append(detail) }
    var place = ["LSN \(event.lsn)", "timeline \(event.timeline)"]
    if let xid = event.xid, xid != 0 { place.append("transaction \(xid)") }
    return parts.joined(separator: "  ") + "  (" + place.joined(separator: ", ") + ")"
}

/// An event as JSON.
public struct EventDocument: Encodable {
    let kind: String
    let time: String?
    let timeline: UInt32
    let lsn: String
    let xid: UInt32?
    let objects: [String]
    let files: [String]
    let detail: String?
    let command: String?
    /// Why there is no command.
    let unreachable: String?
}
