import Backups
import Catalog
import Monitoring
public import Operations
import Platform
import Repository
import WAL

/// The base backups, with remarks.
public func listText(_ report: ListReport) -> String {
    let rows = listRows(report)
    var lines: [String] = []
    if rows.isEmpty {
        lines.append(
            report.unreadable == 0
                ? "Cluster \"\(report.cluster)\" has no complete backup."
                : "Cluster \"\(report.cluster)\" has no complete backup that can be read; \(report.unreadable) cannot.")
    } else {
        var table = TextTable(
            [
                "label", "type", "start", "stop", "took", "size", "stored", "ratio", "WAL needed",
                "recoverable until", "verified", "note",
            ],
            [.left, .left, .left, .left, .right, .right, .right, .right])
        for row in rows { table.add(row.columns) }
        lines += table.lines
    }
    lines += report.incarnations.flatMap(remarks)
    lines += report.gaps.map { gap in
        gap.obstacle.map { "WAL \($0.sentence): backups taken before it cannot be recovered past it." }
            ?? "WAL \(gap.sentence): backups taken before the gap cannot be recovered past it."
    }
    return joined(lines)
}

private func remarks(_ part: ListReport.Part) -> [String] {
    var remarks = part.backups.compactMap(\.aside).map {
        "backup \"\($0.backup.label)\" can't be used: \($0.damage), with its \"\($0.file)\""
    }
    remarks += part.incomplete.map { "backup \"\($0)\" is not complete: it still runs, or was interrupted" }
    guard !part.isCurrent else { return remarks }
    return remarks
        + part.backups.map {
            "backup \"\($0.description.label)\" is of incarnation \(part.incarnation.folderName), before initdb or "
                + "pg_upgrade"
        }
}

/// The same as JSON.
public func listRows(_ report: ListReport) -> [ListedBackup] {
    report.incarnations.flatMap { part in part.backups.map { ListedBackup($0, of: part.incarnation) } }
}

/// A backup as JSON, and in columns.
public struct ListedBackup: Encodable {
    let label: String
    let incarnation: String
    let type: String
    let start: String
    let stop: String
    let seconds: Double
    let size: Int64
    let storedSize: Int64
    let firstWal: String
    let lastWal: String
    let timeline: UInt32
    let corruptPages: Int
    let note: String?
    let pinned: Bool
    let pinnedUntil: String?
    let recoverableUntil: String?
    /// The timeline that must be named to get there (`--target-timeline`).
    let recoverableTimeline: UInt32?
    let verified: String?
    let verifyProblems: Int?
    /// Where the WAL after it can't be followed, and not on purpose.
    let gaps: [Gap]

    struct Gap: Encodable {
        /// The first and the last segment that is missing, or twice the one that can't be replayed.
        let first, last: String?
        /// Without a full stop.
        let reason: String

        init(_ gap: WALGap) {
            let obstacle = gap.obstacle?.segment
            first = (gap.missing?.first ?? obstacle)?.description
            last = (gap.missing?.last ?? obstacle)?.description
            reason = gap.sentence
        }
    }

    /// Why it can't be used.
    let damage: String?

    fileprivate init(_ listed: ListReport.Backup, of incarnation: Incarnation) {
        let backup = listed.description
        (recoverableUntil, recoverableTimeline) = (listed.until?.moment.iso8601, listed.until?.mustName?.rawValue)
        damage = listed.aside?.damage
        gaps = listed.gaps.map(Gap.init)
        pinned = backup.isPinned
        pinnedUntil = backup.pinnedUntil?.iso8601
        verified = listed.verified?.time.iso8601
        verifyProblems = listed.verified?.problems
        label = backup.label
        self.incarnation = incarnation.folderName
        type = backup.kind.rawValue
        start = backup.startTime.iso8601
        stop = backup.stopTime.iso8601
        seconds = backup.timings.total
        size = backup.size
        storedSize = backup.storedSize
        firstWal = backup.startSegment.description
        lastWal = backup.stopSegment.description
        timeline = backup.timeline.rawValue
        corruptPages = backup.corruptPages.count
        note = backup.note
    }

    private var remarks: String {
        let pin = pinned ? pinnedUntil.map { "pinned until \($0.prefix(10))" } ?? "pinned" : nil
        let corrupt = corruptPages > 0 ? counted(corruptPages, "corrupt page") : nil
        return [damage, note, pin, corrupt].compactMap { $0 }.joined(separator: "; ")
    }

    /// Whole seconds, in PostgreSQL's format.
    private func short(_ moment: String) -> String { String(moment.prefix(19).map { $0 == "T" ? " " : $0 }) + "+00" }

    fileprivate var columns: [String] {
        return [
            label, type, short(start), short(stop),
            duration(seconds), Presentation.size(size),
            Presentation.size(storedSize), ratio(size, to: storedSize) ?? "0.0", "\(firstWal) … \(lastWal.suffix(8))",
            recoverableUntil.map { short($0) + (recoverableTimeline.map { " on timeline \($0)" } ?? "") }
                ?? (damage == nil ? "not known" : "never"),
            verified.map { day in
                let count = verifyProblems ?? 0
                return String(day.prefix(10)) + (count == 0 ? "" : ": " + counted(count, "problem"))
            }
                ?? "never", remarks,
        ]
    }
}
