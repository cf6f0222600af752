import Catalog
import Configuration
import Monitoring
import Operations
import Platform
import WAL

enum WindowCommand: Command {
    static let grammar = Grammar(
        "window", "show the moments that can be recovered to",
        description: [
            "Shows the range of moments for every backup and timeline. The first moment is the end of the backup; the last is the last "
                + "transaction in the WAL that follows it without a gap."
        ],
        options: [.init("json", "print JSON")],
        examples: [
            Grammar.Example("tidemark window", "how far back, how far forward, how much would be lost now?")
        ],
        exits: [
            (
                3,
                "no moment can be recovered to, a window ends where WAL is missing or cannot be used, or a backup cannot be read"
            )
        ])

    private struct Document: Encodable {
        struct Window: Encodable {
            let backup: String
            let timeline: UInt32
            let isConsistent: Bool
            let from: String
            let to: String?
            let toXid: UInt32?
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

        /// Moments in a gap, or after it, that can't be recovered to.
        struct Unreachable: Encodable {
            let after: String?
            let before: String?
            let reason: String
        }
        /// What a verification has found damaged and still is.
        let knownDamage: [String]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let access = try invocation.catalogAccess()
        let expired = try access.expired(by: invocation.policy(for: access.cluster))
        let (windows, gaps) = try access.ask {
            (try $0.windows(of: access.spans), try $0.gaps(behind: access.spans, expired: expired))
        }
        let usable = windows.filter(\.isConsistent)
        let lost = try access.catalog.lostHistories()
        for history in lost { invocation.log(.error, history) }
        let damage = try KnownDamage.find(of: access.archive)
        for item in damage { invocation.log(.error, item.sentence, hint: item.remedy) }
        // A window that ends at what expire removed is as it should be.
        let status: ExitStatus =
            usable.isEmpty || !lost.isEmpty || !damage.isEmpty || !access.unreadable.isEmpty
                || windows.contains { !$0.endsWell(expired) }
            ? .problemsFound : .success
        let from = usable.map(\.from).min()
        let to = usable.map { $0.last?.time ?? $0.from }.max()
        let now = Clock.now
        if invocation.json {
            try invocation.print(
                json: Document(
                    from: from?.iso8601, to: to?.iso8601,
                    secondsSinceLast: to.map { Double(now - $0.microseconds) / 1_000_000 },
                    windows: windows.map {
                        .init(
                            backup: $0.backup.label, timeline: $0.timeline.rawValue, isConsistent: $0.isConsistent,
                            from: $0.from.iso8601, to: $0.last?.time.iso8601, toXid: $0.last?.xid,
                            end: $0.end?.description, segments: $0.segments, ends: ends($0).word,
                            endsAt: ends($0).place, endsAtLast: ends($0).last)
                    },
                    unreachable: gaps.map {
                        .init(
                            after: $0.lastBefore?.time.iso8601, before: $0.nextBackup?.stopTime.iso8601,
                            reason: reason($0))
                    }, knownDamage: damage.map(\.name)))
            return status
        }
        guard !windows.isEmpty else {
            let count = access.unreadable.count
            invocation.print(
                count == 0
                    ? "Cluster \"\(access.cluster.name)\" has no complete backup: nothing can be recovered."
                    : "Cluster \"\(access.cluster.name)\" has no complete backup that can be read (\(count) cannot): nothing can "
                        + "be recovered.")
            return .problemsFound
        }
        var table = TextTable(
            ["backup", "timeline", "from", "to", "LSN", "segments", "ends"],
            [.left, .right, .left, .left, .left, .right])
        for window in windows {
            table.add([
                window.backup.label, "\(window.timeline)", window.from.description,
                window.isConsistent ? window.last?.time.description ?? window.from.description : "never consistent",
                window.end?.description ?? "", "\(window.segments)", text(window.ending, expired),
            ])
        }
        invocation.print(table.text)
        guard from != nil, to != nil else {
            invocation.print("No moment can be recovered to: some WAL that the backups need is missing.")
            return .problemsFound
        }
        invocation.print(summary(usable, now: now))
        for gap in gaps where !gap.isExpired {
            invocation.print("\(WALGaps.moments(gap)): \(gap.sentence).")
        }
        return status
    }

    private static func ends(_ window: RecoveryWindow) -> (word: String, place: String?, last: String?) {
        switch window.ending {
        case .archiveEnd: ("archive", nil, nil)
        case .missing(let gap): ("gap", gap.first.description, gap.last.description)
        case .unusable(let found): ("unusable", found.segment.description, nil)
        }
    }

    /// The span in which every moment can be recovered to.
    private static func summary(_ usable: [RecoveryWindow], now: Int64) -> String {
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
            + "\(Quantity.pretty(milliseconds: max(0, (now - last.microseconds) / 1000))) old.\(earlier)"
    }

    private static func reason(_ gap: LogGap) -> String {
        guard gap.isExpired, let missing = gap.missing else { return gap.sentence }
        return missing.removedSentence
    }

    private static func text(_ ending: RecoveryWindow.Ending, _ expired: SegmentSet) -> String {
        switch ending {
        case .archiveEnd: "at the archive's end"
        case .missing(let gap) where gap.names.allSatisfy { expired.contains($0) }:
            gap.removedSentence
        case .missing(let gap): gap.sentence
        case .unusable(let found): found.sentence
        }
    }
}

extension RecoveryWindow {
    func endsWell(_ expired: SegmentSet) -> Bool {
        switch ending {
        case .archiveEnd: true
        case .missing(let gap): gap.names.allSatisfy { expired.contains($0) }
        case .unusable: false
        }
    }
}
