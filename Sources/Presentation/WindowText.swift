import Catalog
import Monitoring
public import Operations
import Planning
import Platform
import WAL

/// The times to which a recovery is possible.
public func windowText(_ report: WindowReport) -> String {
    guard !report.windows.isEmpty else {
        return report.unreadable == 0
            ? "Cluster \"\(report.cluster)\" has no complete backup: nothing can be recovered."
            : "Cluster \"\(report.cluster)\" has no complete backup that can be read (\(report.unreadable) cannot): nothing "
                + "can be recovered."
    }
    let named = report.windows.map { report.moments.mustName(for: $0) }
    // Most archives have one timeline, and nothing needs to be named.
    let heading = named.contains { $0 != nil } ? ["reached with"] : []
    var table = TextTable(
        ["backup", "timeline", "from", "to", "LSN", "segments", "ends"] + heading,
        [.left, .right, .left, .left, .left, .right])
    for (window, name) in zip(report.windows, named) {
        table.add(
            [
                window.backup.label, "\(window.timeline)", window.from.description,
                window.isConsistent ? window.last?.time.description ?? window.from.description : "never consistent",
                window.end?.description ?? "", "\(window.segments)", text(window.ending, report),
            ] + heading.map { _ in window.isConsistent ? name.map { "--target-timeline \($0)" } ?? "" : "" })
    }
    guard !report.usable.isEmpty else {
        return table.text
            + "\nNo moment can be recovered to: some WAL that the backups need is missing."
    }
    let gaps = report.gaps.filter { !$0.isExpired }.map { gap in
        "\(gap.unreachableMoments(on: report.moments.mustName(for: gap))): \(gap.sentence)."
    }
    return joined(table.lines + summaries(report) + gaps)
}

private func text(_ ending: RecoveryWindow.Ending, _ report: WindowReport) -> String {
    switch ending {
    case .archiveEnd: "at the archive's end"
    case .missing(let gap) where report.isExpired(gap): gap.removedSentence
    case .missing(let gap): gap.sentence
    case .unusable(let found): found.sentence
    }
}

/// What is reached without naming a timeline, and by naming one.
private func summaries(_ report: WindowReport) -> [String] {
    var lines = report.ordinary.isEmpty ? [] : [summary(report.ordinary, now: report.now)]
    let followed = report.moments.followed.timelines
    if followed.count > 1 {
        lines.append(
            "It can't be told which of timelines \(followed.map(\.description).joined(separator: ", ")) is the cluster's: "
                + "name one.")
    }
    let others = Dictionary(grouping: report.usable.filter { report.moments.mustName(for: $0) != nil }, by: \.timeline)
    lines += others.sorted { $0.key < $1.key }.map { timeline, windows in
        "With --target-timeline \(timeline): " + summary(windows, now: report.now)
    }
    return lines
}

/// The period in which every moment can be recovered to.
private func summary(_ usable: [RecoveryWindow], now: Moment) -> String {
    let furthest = usable.max { ($0.last?.time ?? $0.from) < ($1.last?.time ?? $1.from) }
    let chain = usable.filter { $0.timeline == furthest?.timeline && $0.end == furthest?.end }
    guard let first = chain.min(by: { $0.from < $1.from }) else { return "" }
    let earlier =
        usable.contains { $0.from < first.from } ? " Earlier ones can be recovered to only within a window." : ""
    guard let last = chain.compactMap({ $0.last?.time }).max(), last > first.from else {
        return
            "The end of backup \(first.backup.label), \(first.from), can be recovered to; no transaction is known to have "
            + "ended since.\(earlier)"
    }
    return "Any moment from \(first.from) to \(last) can be recovered to; the last archived transaction is "
        + "\(durationText(milliseconds: max(0, (now.microseconds - last.microseconds) / 1000))) old.\(earlier)"
}

private func ends(_ window: RecoveryWindow) -> (word: String, place: String?, last: String?) {
    switch window.ending {
    case .archiveEnd: ("archive", nil, nil)
    case .missing(let gap): ("gap", gap.first.description, gap.last.description)
    case .unusable(let found): ("unusable", found.segment.description, nil)
    }
}

private func reason(_ gap: WALGap) -> String {
    guard gap.isExpired, let missing = gap.missing else { return gap.sentence }
    return missing.removedSentence
}

/// The same as JSON.
public struct WindowDocument: Encodable {
    struct Window: Encodable {
        let backup: String
        let timeline: UInt32
        /// The timeline that must be named to reach its last moments (`--target-timeline`).
        let targetTimeline: UInt32?
        let isConsistent: Bool
        let from: String
        let to: String?
        let toXID: UInt32?
        let end: String?
        let segments: Int64
        let ends: String
        let endsAt: String?
        /// The last segment that is missing there.
        let endsAtLast: String?
    }
    let from, to: String?
    let secondsSinceLast: Double?
    let windows: [Window]
    let unreachable: [Unreachable]

    /// Times in a gap, or after it, that can't be recovered to.
    struct Unreachable: Encodable {
        let after: String?
        let before: String?
        let reason: String
    }
    /// Damage that a verification found and that persists.
    let knownDamage: [String]
    let contradiction: ToldContradiction?

    public init(_ report: WindowReport) {
        (from, to) = (report.from?.iso8601, report.to?.iso8601)
        secondsSinceLast = report.to.map { Double(report.now.microseconds - $0.microseconds) / 1_000_000 }
        windows = report.windows.map {
            let (word, place, last) = ends($0)
            return Window(
                backup: $0.backup.label, timeline: $0.timeline.rawValue,
                targetTimeline: report.moments.mustName(for: $0)?.rawValue, isConsistent: $0.isConsistent,
                from: $0.from.iso8601, to: $0.last?.time.iso8601, toXID: $0.last?.xid, end: $0.end?.description,
                segments: $0.segments, ends: word, endsAt: place, endsAtLast: last)
        }
        unreachable = report.gaps.map {
            Unreachable(
                after: $0.lastReached?.iso8601, before: $0.nextBackup?.stopTime.iso8601, reason: reason($0))
        }
        knownDamage = report.damage.map(\.name)
        contradiction = report.contradiction.map(ToldContradiction.init)
    }
}
