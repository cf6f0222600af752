import Catalog
import Configuration
import Platform
import WAL

enum WindowCommand: Command {
    static let grammar = Grammar(
        "window", "show the moments that can be recovered to",
        description: [
            "For every backup and timeline: from when to when. The first moment is the end of the backup; the last is the last "
                + "transaction in the WAL that follows it without a gap."
        ],
        options: [.init("json", "print JSON")],
        examples: [
            Grammar.Example("tidemark window", "how far back, how far forward, how much would be lost now?")
        ],
        exits: [(3, "no moment can be recovered to, or a window ends where WAL is missing or cannot be used")])

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
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let access = try CatalogAccess(invocation)
        let windows = try access.ask(invocation) { try $0.windows(of: access.spans) }
        let usable = windows.filter(\.isConsistent)
        let expired = try access.expired(invocation)
        // A window that ends at what expire removed is as it should be.
        let status: ExitStatus =
            usable.isEmpty || windows.contains { !$0.endsWell(expired) } ? .problemsFound : .success
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
                    }))
            return status
        }
        guard !windows.isEmpty else {
            invocation.print("Cluster \"\(access.cluster.name)\" has no complete backup: nothing can be recovered.")
            return .problemsFound
        }
        var table = TextTable(
            ["backup", "timeline", "from", "to", "LSN", "segments", "ends"],
            [.left, .right, .left, .left, .left, .right])
        for window in windows {
            table.add([
                window.backup.label, "\(window.timeline)", window.from.description,
                window.isConsistent ? window.last?.time.description ?? window.from.description : "never consistent",
                window.end?.description ?? "", "\(window.segments)", text(window),
            ])
        }
        invocation.print(table.text)
        guard let from, let to else {
            invocation.print("No moment can be recovered to: the WAL that the backups need is not all there.")
            return .problemsFound
        }
        invocation.print(
            "Any moment from \(from) to \(to) lies in a window or between two; the last archived transaction is "
                + "\(Quantity.pretty(milliseconds: max(0, (now - to.microseconds) / 1000))) old.")
        return status
    }

    private static func ends(_ window: RecoveryWindow) -> (word: String, place: String?, last: String?) {
        switch window.ending {
        case .archiveEnd: ("archive", nil, nil)
        case .missing(let gap): ("gap", gap.first.description, gap.last.description)
        case .unusable(let name, _): ("unusable", name.description, nil)
        }
    }

    private static func text(_ window: RecoveryWindow) -> String {
        switch window.ending {
        case .archiveEnd: "at the archive's end"
        case .missing(let gap): gap.sentence
        case .unusable(let name, let reason): "segment \(name) cannot be used: \(reason)"
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
