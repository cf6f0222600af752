import Catalog
import Configuration
import Operations
import Platform
import WAL

enum AroundCommand: Command {
    static let grammar = Grammar(
        "around", "show the transactions around a moment",
        description: [
            "Shows the last transactions that a recovery to this time would include, and the first ones it wouldn't, with what they changed. "
                + "Transactions are in WAL order; their commit times are taken slightly earlier and may be out of order. "
                + "WAL that is missing among them is shown in its place."
        ],
        options: [
            .init("target-time", value: "TIME", "the moment"),
            .init("target-timeline", value: "N", "the timeline to follow (default: the newest)"),
            .init("count", value: "N", "number of transactions on either side (default: 5)"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example(
                "tidemark around --target-time '2026-11-05 09:59:00 Europe/Berlin'", "what happened about then")
        ],
        exits: [(3, "WAL is missing among what is shown, or a timeline's history file is missing or damaged")])

    private struct Document: Encodable {
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
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        guard let text = arguments.value("target-time") else {
            throw UsageError("no moment", hint: "Name one with --target-time.")
        }
        let moment = try Moment(parsing: text, zone: invocation.cluster().timezone)
        let count = try arguments.integer("count", in: 1...1000) ?? 5
        let timeline = try arguments.integer("target-timeline", in: 1...Int(UInt32.max)).map { TimelineID(UInt32($0)) }
        let access = try invocation.catalogAccess()
        let names = BackupNames(access, invocation.context())
        let policy = try invocation.policy(for: access.cluster)
        let found = try access.ask {
            try $0.surroundings(of: moment, on: timeline, count: count, expired: access.expired(by: policy))
        }
        guard let found else {
            throw Problem("no WAL of cluster \"\(access.cluster.name)\" is archived")
        }
        let lost = try access.catalog.lostHistories()
        for history in lost { invocation.log(.error, history) }
        let status: ExitStatus = found.gaps.isEmpty && lost.isEmpty ? .success : .problemsFound
        func relations(_ transaction: NearbyTransaction) -> [String] {
            let maps = names.names(at: transaction.mark.lsn)
            var listed: [String] = []
            var unknown = 0
            for file in transaction.files {
                guard let map = maps.first(where: { $0.relation(file) != nil }), let relation = map.relation(file)
                else {
                    unknown += 1
                    continue
                }
                // Tables and sequences speak for their indexes; catalogs say that something was defined.
                if relation.isTable, !relation.isSystem { listed.append(map.fullName(relation)) }
            }
            return listed.sorted() + (unknown > 0 && listed.isEmpty ? ["\(unknown) files without a name"] : [])
        }
        if invocation.json {
            func document(_ transaction: NearbyTransaction) -> Document.Transaction {
                .init(
                    xid: transaction.mark.xid, time: transaction.mark.time.iso8601,
                    lsn: transaction.mark.lsn.description, committed: transaction.isCommit,
                    relations: relations(transaction))
            }
            try invocation.print(
                json: Document(
                    time: moment.iso8601, timeline: found.timeline.rawValue, before: found.before.map(document),
                    after: found.after.map(document),
                    gaps: found.gaps.map(Document.Gap.init), removed: found.removed.map(Document.Gap.init)))
            return status
        }
        var table = TextTable(["", "time", "xid", "LSN", "end", "relations"], [.left, .left, .right])
        var gaps =
            (found.gaps.map { ("gap", $0, $0.sentence) } + found.removed.map { ("gone", $0, $0.removedSentence) })
            .sorted { $0.1.from < $1.1.from }[...]
        func addGaps(before position: LSN?) {
            while let (word, gap, sentence) = gaps.first, position.map({ gap.from <= $0 }) ?? true {
                table.add([word, "", "", "\(gap.from)", "", sentence])
                gaps.removeFirst()
            }
        }
        func add(_ transactions: [NearbyTransaction], _ side: String) {
            for transaction in transactions {
                addGaps(before: transaction.mark.lsn)
                table.add([
                    side, transaction.mark.time.description, "\(transaction.mark.xid)", "\(transaction.mark.lsn)",
                    transaction.isCommit ? "commit" : "abort", relations(transaction).joined(separator: ", "),
                ])
            }
        }
        add(found.before, "before")
        // A recovery to the moment has to get over one that lies between the two sides.
        addGaps(before: found.after.first?.mark.lsn)
        table.add(["-->", moment.description, "", "", "", ""])
        add(found.after, "after")
        invocation.print(table.text)
        for gap in found.gaps {
            invocation.print("WAL \(gap.sentence): which transactions ended there is not known.")
        }
        return status
    }
}
