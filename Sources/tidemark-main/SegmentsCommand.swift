import Catalog
import Configuration
import Jobs
import Monitoring
import Operations
import Platform
import WAL

enum SegmentsCommand: Command {
    static let grammar = Grammar(
        "segments", "show the archived WAL, or put a stray part of it aside and back",
        description: [
            "A range is a series of segments of one timeline, each proven to continue where the one before it ended. A gap shows what is "
                + "missing or doesn't match, the reason as far as it is known, and the moments that can't be reached because of it. What "
                + "expire removed on purpose is shown as well, but is not a problem.",
            "With put-aside NAME, a segment that contradicts what the server has (a copy of its machine archived first), a .partial, or "
                + "a timeline that no server is on is moved out of the cluster's history, with a record of the reason. Nothing is "
                + "deleted. A timeline is given by its history file or its number. Only where the primary runs can tidemark determine "
                + "what is stray: what that server is on, descends from or has written itself, or what another timeline descends "
                + "from, is not put aside.",
            "put-back NAME moves what was last put aside under that name back to where it was. It overwrites nothing.",
        ],
        words: [
            .init(
                "put-aside|put-back NAME", count: .any,
                "what to put aside or back; without it, the WAL is shown")
        ],
        options: [.init("json", "print JSON")] + PutAsideAction.options,
        examples: [
            Grammar.Example("tidemark segments", "is anything missing?"),
            Grammar.Example("tidemark segments put-aside 00000003.history", "a timeline that no server is on"),
            Grammar.Example(
                "tidemark segments put-aside 000000010000000000000007 --following",
                "what a copy of the server archived first"),
            Grammar.Example("tidemark segments put-back 000000010000000000000007", "that was a mistake"),
        ],
        exits: [(3, "there are gaps that expire did not make")])

    private struct Document: Encodable {
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
            /// When `expire` removed what is missing; null when it didn't.
            let expired: String?
            /// Whether the server still has some of what is missing, and the commands that store it, or bring back what was
            /// put aside.
            let atServer: Bool
            let remedy: [String]?
            let unreachableFrom, unreachableTo: String?
            let nextBackup: String?
        }
        let stretches: [Stretch]
        let gaps: [Gap]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let words = invocation.arguments.words
        if !words.isEmpty {
            guard words.count == 2, ["put-aside", "put-back"].contains(words[0]) else {
                throw UsageError("segments takes nothing, or \"put-aside\" or \"put-back\" and a name")
            }
            return try words[0] == "put-aside"
                ? PutAsideAction.run(invocation, words[1]) : PutBackAction.run(invocation, words[1])
        }
        let access = try invocation.catalogAccess()
        let (stretches, gaps) = try access.ask {
            try $0.report(backups: access.spans, expired: access.expired(by: invocation.policy(for: access.cluster)))
        }
        let removals = try removals(of: gaps, access)
        let lost = try access.catalog.lostHistories()
        for history in lost { invocation.log(.error, history) }
        func remedy(_ gap: LogGap) throws -> GapRemedy? {
            try gap.isExpired
                ? nil : gap.missing.flatMap { try WALGaps.remedy($0, in: access.archive, access.cluster, invocation) }
        }
        if invocation.json {
            try invocation.print(
                json: Document(
                    stretches: stretches.map {
                        .init(
                            timeline: $0.timeline.rawValue, first: $0.first.description, last: $0.last.description,
                            begin: $0.begin.description, end: $0.end.description, segments: $0.totals.segments,
                            size: $0.rawBytes, storedSize: $0.totals.storedBytes,
                            firstCommit: $0.firstCommit?.time.iso8601, lastCommit: $0.lastCommit?.time.iso8601,
                            goesOnFrom: $0.goesOnFrom?.rawValue)
                    },
                    gaps: try gaps.map {
                        let remedy = try remedy($0)
                        return .init(
                            timeline: $0.timeline.rawValue, from: $0.from.description, to: $0.to.description,
                            firstMissing: $0.firstMissing?.description, lastMissing: $0.lastMissing?.description,
                            cause: cause($0, removals[$0]), expired: removals[$0]?.iso8601,
                            atServer: remedy?.isAside == false, remedy: remedy?.commands,
                            unreachableFrom: $0.lastBefore?.time.iso8601,
                            unreachableTo: $0.nextBackup?.stopTime.iso8601, nextBackup: $0.nextBackup?.label)
                    }))
        } else if stretches.isEmpty {
            invocation.print("No WAL of cluster \"\(access.cluster.name)\" is archived.")
        } else {
            var table = TextTable(
                ["timeline", "first", "last", "segments", "stored", "ratio", "first commit", "last commit", "note"],
                [.right, .left, .left, .right, .right, .right])
            for stretch in stretches {
                table.add([
                    "\(stretch.timeline)", "\(stretch.first)", "\(stretch.last)", "\(stretch.totals.segments)",
                    size(stretch.totals.storedBytes), ratio(stretch), stretch.firstCommit?.time.description ?? "",
                    stretch.lastCommit?.time.description ?? "",
                    stretch.goesOnFrom.map { "continues timeline \($0)" } ?? "",
                ])
            }
            invocation.print(table.text)
            for gap in gaps {
                invocation.print(text(gap, removed: removals[gap], try remedy(gap)))
            }
            if gaps.allSatisfy(\.isExpired), lost.isEmpty { invocation.print("There are no gaps.") }
        }
        return gaps.allSatisfy(\.isExpired) && lost.isEmpty ? .success : .problemsFound
    }

    /// When the gaps that `expire` made were made, as far as its records tell.
    private static func removals(of gaps: [LogGap], _ access: CatalogAccess) throws -> [LogGap: Moment] {
        guard gaps.contains(where: \.isExpired) else { return [:] }
        let expired = ExpiredLog(try JobJournal(of: access.archive).contents().jobs)
        var removals: [LogGap: Moment] = [:]
        for gap in gaps where gap.isExpired {
            guard let missing = gap.missing else { continue }
            let times = missing.ranges.map {
                expired.removal(of: $0.first, to: $0.last, segmentSize: missing.segmentSize)
            }
            if times.allSatisfy({ $0 != nil }) { removals[gap] = times.compactMap { $0 }.max() }
        }
        return removals
    }

    private static func ratio(_ stretch: LogStretch) -> String {
        guard stretch.totals.storedBytes > 0 else { return "" }
        let tenths = stretch.rawBytes * 10 / stretch.totals.storedBytes
        return "\(tenths / 10).\(tenths % 10)"
    }

    private static func cause(_ gap: LogGap, _ removed: Moment?) -> String {
        if case .putAside(let name) = gap.cause {
            return "They were put aside, all or some of them: \"tidemark segments put-back \(name)\" brings them back."
        }
        if gap.isExpired {
            return "No kept backup needs them"
                + (removed.map { ": \"expire\" removed them, the last on \($0)." } ?? ", by the rules of [retention].")
        }
        return switch gap.cause {
        case .missing: "The segments are not in the repository: they were never archived, or have been removed."
        case .expired(let backup):
            "They come right after what backup \(backup) needs to be consistent: probably \"expire\" removed them."
        case .unfinished(let name):
            "Of the first segment only \"\(name).partial\" is there: the server that wrote it stopped before it was full."
        case .elsewhere(let timeline):
            "The first segment is there on timeline \(timeline) only: the server that wrote this timeline did not archive it."
        case .unreadable(let reason), .broken(let reason), .putAside(let reason): reason
        }
    }

    private static func text(_ gap: LogGap, removed: Moment?, _ remedy: GapRemedy?) -> String {
        var lines: [String] = []
        if let missing = gap.missing {
            let word = gap.isExpired ? "GONE: " : "GAP:  "
            let timelines = missing.ranges.map(\.first.timeline.description)
            let of = "of timeline" + (timelines.count > 1 ? "s " : " ") + timelines.joined(separator: ", ")
            lines.append("\(word)\(missing.description) \(of), LSN \(gap.from) to \(gap.to)")
        } else {
            lines.append("GAP:  at LSN \(gap.from) of timeline \(gap.timeline)")
        }
        lines.append("      \(cause(gap, removed))")
        if let remedy, !remedy.isAside { lines.append("      \(remedy.hint)") }
        lines.append(
            "      \(WALGaps.moments(gap))" + (gap.nextBackup == nil ? ": no backup was taken after the gap." : "."))
        return lines.joined(separator: "\n")
    }
}
