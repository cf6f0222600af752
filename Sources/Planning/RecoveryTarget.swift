import Messages
public import WAL

/// Where a recovery is to end: one of PostgreSQL's `recovery_target…` settings, parsed.
public struct RecoveryTarget: Hashable, Sendable {
    public enum Point: Hashable, Sendable {
        /// `recovery_target_time`: compared with the times in commit and abort records.
        case time(Moment)
        /// `recovery_target_lsn`: compared with the start of every record.
        case lsn(LSN)
        /// `recovery_target_xid`: compared for equality with the transaction that ends.
        case xid(UInt32)
        /// `recovery_target_name`: the first restore point of that name after the backup's start.
        case name(String)
        /// `recovery_target = 'immediate'`: as soon as the backup is consistent.
        case immediate
        /// No target: everything in the archive.
        case latest
    }

    /// `recovery_target_timeline`.
    public enum Timeline: Hashable, Sendable {
        /// The timeline of the cluster itself; tidemark's own default, since PostgreSQL can't know it.
        case own
        /// The newest timeline of the archive, by its number.
        case latest
        /// The timeline the backup was taken on.
        case current
        case number(TimelineID)
    }

    public var point: Point
    /// `recovery_target_inclusive`: whether what lies exactly on the target is part of the recovery. Has no effect for
    /// a name (always included), immediate and latest.
    public var inclusive: Bool
    public var timeline: Timeline

    public init(_ point: Point, inclusive: Bool = true, timeline: Timeline = .own) {
        self.point = point
        self.inclusive = inclusive
        self.timeline = timeline
    }
}

extension RecoveryTarget {
    /// The command-line options for this target, quoted for a shell.
    public var arguments: [String] {
        var words: [String] =
            switch point {
            case .time(let time): ["--target-time", shellQuoted(time.description)]
            case .lsn(let lsn): ["--target-lsn", lsn.description]
            case .xid(let xid): ["--target-xid", String(xid)]
            case .name(let name): ["--target-name", shellQuoted(name)]
            case .immediate: ["--target", "immediate"]
            case .latest: ["--target", "latest"]
            }
        if !inclusive { words.append("--exclusive") }
        switch timeline {
        case .own: break
        case .latest: words += ["--target-timeline", "latest"]
        case .current: words += ["--target-timeline", "current"]
        case .number(let number): words += ["--target-timeline", number.description]
        }
        return words
    }

    /// The target as messages name it: `time 2026-11-05 09:00:00+00`.
    public var summary: String {
        switch point {
        case .time(let time): "time \(time)"
        case .lsn(let lsn): "LSN \(lsn)"
        case .xid(let xid): "transaction \(xid)"
        case .name(let name): "restore point \"\(name)\""
        case .immediate: "the end of the backup"
        case .latest: "the end of the archive"
        }
    }
}
