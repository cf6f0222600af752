import Catalog
import Monitoring
public import Operations
import WAL

/// The archived WAL and its gaps.
public func segmentsText(_ report: SegmentsReport) -> String {
    guard !report.stretches.isEmpty else {
        return joined(["No WAL of cluster \"\(report.cluster)\" is archived."] + report.gaps.flatMap(\.lines))
    }
    var table = TextTable(
        ["timeline", "first", "last", "segments", "stored", "ratio", "first commit", "last commit", "note"],
        [.right, .left, .left, .right, .right, .right])
    for stretch in report.stretches {
        let stored = stretch.totals.storedBytes
        table.add([
            "\(stretch.timeline)", "\(stretch.first)", "\(stretch.last)", "\(stretch.totals.segments)", size(stored),
            ratio(stretch.rawBytes, to: stored) ?? "", stretch.firstCommit?.time.description ?? "",
            stretch.lastCommit?.time.description ?? "",
            stretch.goesOnFrom.map { "continues timeline \($0)" } ?? "",
        ])
    }
    let end = report.isWhole ? ["There are no gaps."] : []
    return joined(table.lines + report.gaps.flatMap(\.lines) + end)
}

extension SegmentsReport.Gap {
    /// The cause of the gap, as far as known.
    fileprivate var cause: String {
        if case .putAside(let name) = gap.cause {
            return "They were put aside, all or some of them, as \"\(name)\"."
        }
        if gap.isExpired {
            return "No kept backup needs them"
                + (removed.map { ": \"expire\" removed them, the last on \($0)." } ?? ", by the rules of [retention].")
        }
        return switch gap.cause {
        case .missing: "The segments are not in the repository: they were never archived, or have been removed."
        case .unfinished(let name):
            "Of the first segment only \"\(name).partial\" is there: the server that wrote it stopped before it was full."
        case .elsewhere(let timeline):
            "The first segment is there on timeline \(timeline) only: the server that wrote this timeline did not archive it."
        case .unreadable(let reason), .broken(let reason), .putAside(let reason): reason
        }
    }

    fileprivate var lines: [String] {
        var lines: [String] = []
        if let missing = gap.missing {
            let word = gap.isExpired ? "GONE: " : "GAP:  "
            let timelines = missing.ranges.map(\.first.timeline.description)
            let of = "of timeline" + (timelines.count > 1 ? "s " : " ") + timelines.joined(separator: ", ")
            lines.append("\(word)\(missing.description) \(of), LSN \(gap.from) to \(gap.to)")
        } else {
            lines.append("GAP:  at LSN \(gap.from) of timeline \(gap.timeline)")
        }
        lines.append("      \(cause)")
        if let remedy { lines.append("      \(remedy.hint)") }
        let reason =
            gap.isReachedBefore
            ? "no backup was taken after the gap"
            : "no backup with all its WAL ended before the gap, and none was taken after it"
        lines.append("      \(gap.unreachableMoments)" + (gap.nextBackup == nil ? ": \(reason)." : "."))
        return lines
    }
}

/// The archived WAL as JSON.
public struct SegmentsDocument: Encodable {
    struct Stretch: Encodable {
        let timeline: UInt32
        let first, last, begin, end: String
        let segments: Int64
        let size, storedSize: Int64
        let firstCommit, lastCommit: String?
        let goesOnFrom: UInt32?
    }
    struct Gap: Encodable {
        let timeline: UInt32
        let from, to: String
        let firstMissing, lastMissing: String?
        let cause: String
        /// When `expire` removed the missing segments; null when it didn't.
        let expired: String?
        /// Whether the server still has some of the missing segments, and the commands that archive them, or bring back
        /// those that were put aside.
        let atServer: Bool
        let remedy: [String]?
        let unreachableFrom, unreachableTo: String?
        let nextBackup: String?
    }
    let stretches: [Stretch]
    let gaps: [Gap]
    let contradiction: ToldContradiction?

    public init(_ report: SegmentsReport) {
        contradiction = report.contradiction.map(ToldContradiction.init)
        stretches = report.stretches.map {
            Stretch(
                timeline: $0.timeline.rawValue, first: $0.first.description, last: $0.last.description,
                begin: $0.begin.description, end: $0.end.description, segments: $0.totals.segments,
                size: $0.rawBytes, storedSize: $0.totals.storedBytes, firstCommit: $0.firstCommit?.time.iso8601,
                lastCommit: $0.lastCommit?.time.iso8601, goesOnFrom: $0.goesOnFrom?.rawValue)
        }
        gaps = report.gaps.map { found in
            let gap = found.gap
            return Gap(
                timeline: gap.timeline.rawValue, from: gap.from.description, to: gap.to.description,
                firstMissing: gap.firstMissing?.description, lastMissing: gap.lastMissing?.description,
                cause: found.cause, expired: found.removed?.iso8601, atServer: found.remedy?.isAside == false,
                remedy: found.remedy?.commands, unreachableFrom: gap.lastReached?.iso8601,
                unreachableTo: gap.nextBackup?.stopTime.iso8601, nextBackup: gap.nextBackup?.label)
        }
    }
}
