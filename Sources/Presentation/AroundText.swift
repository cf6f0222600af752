import Catalog
public import Operations
import Platform
import WAL

/// The transactions around a moment, with what they changed.
public func aroundText(_ report: AroundReport) -> String {
    var table = TextTable(["", "time", "xid", "LSN", "end", "relations"], [.left, .left, .right])
    var gaps =
        (report.gaps.map { ("gap", $0.from, $0.sentence) }
        + report.removed.map { ("gone", $0.from, $0.removedSentence) }
        + report.unreadable.map { ("gap", $0.from, "segment \"\($0.segment)\" cannot be read") })
        .sorted { $0.1 < $1.1 }[...]
    func addGaps(before position: LSN?) {
        while let (word, from, sentence) = gaps.first, position.map({ from <= $0 }) ?? true {
            table.add([word, "", "", "\(from)", "", sentence])
            gaps.removeFirst()
        }
    }
    func add(_ transactions: [AroundReport.Transaction], _ side: String) {
        for transaction in transactions {
            let mark = transaction.mark
            addGaps(before: mark.lsn)
            table.add([
                side, mark.time.description, "\(mark.xid)", "\(mark.lsn)", transaction.isCommit ? "commit" : "abort",
                transaction.relationWords.joined(separator: ", "),
            ])
        }
    }
    add(report.before, "before")
    // A gap between the two sides affects a recovery to that time.
    addGaps(before: report.after.first?.mark.lsn)
    table.add(["-->", report.moment.description, "", "", "", ""])
    add(report.after, "after")
    let lines =
        report.gaps.map { "WAL \($0.sentence): which transactions ended there is not known." }
        + report.unreadable.map {
            "Segment \"\($0.segment)\" cannot be read (\($0.reason)): which transactions ended there is not known."
        }
    return joined(table.lines + lines)
}

extension AroundReport.Transaction {
    /// The changed relations; where only nameless files are known, their number.
    fileprivate var relationWords: [String] {
        relations.isEmpty && nameless > 0 ? ["\(counted(nameless, "file")) without a name"] : relations
    }
}

/// The same as JSON.
public struct AroundDocument: Encodable {
    struct Transaction: Encodable {
        let xid: UInt32
        let time, lsn: String
        let committed: Bool
        let relations: [String]
    }
    let time: String
    let timeline: UInt32
    let before, after: [Transaction]
    let gaps: [Gap]
    /// What `expire` removed.
    let removed: [Gap]
    /// Segments that can't be read.
    let unreadable: [Unreadable]

    struct Unreadable: Encodable {
        let segment, lsn, reason: String
    }

    struct Gap: Encodable {
        let from, to: String
        let firstMissing, lastMissing: String

        init(_ gap: LineageGap) {
            (from, to) = (gap.from.description, gap.to.description)
            (firstMissing, lastMissing) = (gap.first.description, gap.last.description)
        }
    }

    public init(_ report: AroundReport) {
        func document(_ transaction: AroundReport.Transaction) -> Transaction {
            Transaction(
                xid: transaction.mark.xid, time: transaction.mark.time.iso8601, lsn: transaction.mark.lsn.description,
                committed: transaction.isCommit, relations: transaction.relationWords)
        }
        (time, timeline) = (report.moment.iso8601, report.timeline.rawValue)
        (before, after) = (report.before.map(document), report.after.map(document))
        (gaps, removed) = (report.gaps.map(Gap.init), report.removed.map(Gap.init))
        unreadable = report.unreadable.map {
            Unreadable(segment: $0.segment.description, lsn: $0.from.description, reason: $0.reason)
        }
    }
}
