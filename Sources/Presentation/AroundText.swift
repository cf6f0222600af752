public import Operations
import WAL

/// The transactions around a moment, with what they changed.
public func aroundText(_ report: AroundReport) -> String {
    var table = TextTable(["", "time", "xid", "LSN", "end", "relations"], [.left, .left, .right])
    var gaps =
        (report.gaps.map { ("gap", $0, $0.sentence) } + report.removed.map { ("gone", $0, $0.removedSentence) })
        .sorted { $0.1.from < $1.1.from }[...]
    func addGaps(before position: LSN?) {
        while let (word, gap, sentence) = gaps.first, position.map({ gap.from <= $0 }) ?? true {
            table.add([word, "", "", "\(gap.from)", "", sentence])
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
    let lines = report.gaps.map { "WAL \($0.sentence): which transactions ended there is not known." }
    return ([table.text] + lines).joined(separator: "\n")
}

extension AroundReport.Transaction {
    /// The changed relations; where only nameless files are known, their number.
    fileprivate var relationWords: [String] {
        relations.isEmpty && nameless > 0 ? ["\(nameless) files without a name"] : relations
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
    }
}
