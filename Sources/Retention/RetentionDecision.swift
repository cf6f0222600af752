public import Messages
public import WAL

/// A backup, with what retention needs.
public struct RetainedBackup: Sendable, Equatable {
    public var label: String
    public var isFull: Bool
    public var timeline: TimelineID
    public var start: LSN
    public var stop: LSN
    /// The timeline whose file of the last segment completed it; nil for its own.
    public var lastTimeline: TimelineID?
    public var startTime: Moment
    public var stopTime: Moment
    public var isPinned: Bool
    public var pinnedUntil: Moment?
    /// Whether a process is reading it.
    public var isLeased: Bool
    /// What is known to be wrong with it, as the rest of a sentence; a damaged backup can't replace another one.
    public var damage: String?
    /// Whether a listing of the repository shows the damage, without reading the backup.
    public var isVisiblyDamaged = false
    /// Whether its branch of the WAL was put aside: no later WAL continues it.
    public var isAside = false
    /// Labels of other backups whose packs it refers to.
    public var needs: [String]

    public init(
        label: String, isFull: Bool = true, timeline: TimelineID = TimelineID(1), start: LSN, stop: LSN,
        startTime: Moment, stopTime: Moment, isPinned: Bool = false, pinnedUntil: Moment? = nil,
        isLeased: Bool = false, damage: String? = nil, needs: [String] = []
    ) {
        (self.label, self.isFull, self.timeline, self.start, self.stop) = (label, isFull, timeline, start, stop)
        (self.startTime, self.stopTime) = (startTime, stopTime)
        (self.isPinned, self.pinnedUntil, self.isLeased) = (isPinned, pinnedUntil, isLeased)
        (self.damage, self.needs) = (damage, needs)
    }

    func hasWAL(on timeline: TimelineID) -> Bool { timeline == self.timeline || timeline == lastTimeline }
}

/// A timeline, with what retention needs.
public struct RetainedTimeline: Sendable, Equatable {
    public var history: TimelineHistory
    /// The last commit on it, or a moment before which that was; nil when nobody knows, which counts as now.
    public var lastCommit: Moment?
    /// The end of its last archived record; nil when nothing of it is archived.
    public var end: LSN?
    /// Nobody knows its ancestors: it may descend from any older timeline, at any position before this one. Nil when
    /// its history is known.
    public var unknownBefore: LSN?

    public init(_ history: TimelineHistory, lastCommit: Moment? = nil, end: LSN? = nil) {
        (self.history, self.lastCommit, self.end) = (history, lastCommit, end)
    }
}

/// Whether one backup is kept, and why.
public struct RetentionVerdict: Sendable, Equatable {
    public var label: String
    public var isKept: Bool
    /// `newest good backup`, `weekly of 2026-W47`, `pinned`, …; for a backup that isn't kept, why no rule keeps it.
    public var reasons: [String]
}

/// The decision of retention. Pure values: its input is read, and the decision carried out, elsewhere.
public struct RetentionDecision: Sendable, Equatable {
    /// In the order of the backups.
    public var verdicts: [RetentionVerdict] = []
    /// WAL that ends after this position is kept on every timeline; nil keeps all.
    public var keepWALFrom: LSN?
    /// The reason for that position.
    public var walReason = ""
    /// Kept backups that start before it: only their own WAL is kept, from start to stop.
    public var islands: [RetainedBackup] = []

    public var kept: Set<String> { Set(verdicts.lazy.filter(\.isKept).map(\.label)) }
    public var expired: [String] { verdicts.filter { !$0.isKept }.map(\.label) }

    /// Whether a segment is kept.
    public func keeps(_ segment: SegmentName, segmentSize: UInt32) -> Bool {
        guard let from = keepWALFrom else { return true }
        if segment.end(segmentSize: segmentSize) > from { return true }
        return islands.contains { island in
            island.hasWAL(on: segment.timeline) && segment.end(segmentSize: segmentSize) > island.start
                && segment.start(segmentSize: segmentSize) <= island.stop
        }
    }
}

extension RetentionDecision {
    /// All segments for which `keeps` returns false.
    public func unwanted(on timelines: [TimelineID], segmentSize: UInt32) -> SegmentSet {
        var set = SegmentSet(segmentSize: segmentSize)
        let size = UInt64(segmentSize)
        // Segments from this number on end after the position.
        guard let from = keepWALFrom, from.rawValue >= size else { return set }
        let end = from.rawValue / size
        for timeline in timelines {
            var next: UInt64 = 0
            for island in islands.filter({ $0.hasWAL(on: timeline) }).sorted(by: { $0.start < $1.start }) {
                let first = island.start.rawValue / size
                if first > next, next < end { set.insert(next...min(first, end) - 1, on: timeline) }
                next = max(next, island.stop.rawValue / size + 1)
            }
            if next < end { set.insert(next...end - 1, on: timeline) }
        }
        return set
    }
}

/// The clock shows a time before an event that has already happened.
public struct ClockWentBack: Explained, Equatable {
    public let now: Moment
    public let label: String
    public let stopTime: Moment
    public var message: String { "cannot expire backups: the newest one has a date in the future" }
    public var detail: String? { "It is \(now); backup \"\(label)\" ended at \(stopTime)." }
    public var hint: String? {
        "Correct the clock; until then nothing is removed. If the clock is correct, the next backup resolves this."
    }
}

/// Decides what is kept.
///
/// The order is taken from the backups' positions, never from names or clocks, and ages from their times, as far as
/// these prove that the time has passed (`ProvenTime`). The newest
/// good backup is always kept, on every living branch of the WAL, and so are pinned and leased ones and all to which a
/// kept one refers. Rules that count do so over all backups, and over those of each living branch by itself. Knowledge
/// of damage never removes anything: a backup that the rules would keep if it were sound stays, and so do the good ones
/// that replace it. With `recoveryWindow` or `keepWAL`, WAL is kept without a gap as far back as these say, and older
/// kept backups keep the WAL that makes them consistent; with neither, WAL is kept without a gap from the oldest kept
/// backup on. A backup whose branch was put aside keeps only its own WAL.
///
/// - Parameter firstWAL: where the first WAL begins, on any timeline, that isn't known to be older than a time; nil
///   when unknown. Called for `keepWAL` when no backup is that old.
/// - Throws: `ClockWentBack`.
public func decideRetention(
    _ backups: [RetainedBackup], timelines: [RetainedTimeline], policy: RetentionPolicy, now: Moment,
    firstWAL: (_ since: Moment) -> LSN? = { _ in nil }
) throws(ClockWentBack) -> RetentionDecision {
    let ordered = backups.sorted { ($0.timeline, $0.stop) < ($1.timeline, $1.stop) }
    // No new backup comes after one whose branch was put aside.
    if let newest = ordered.last(where: { !$0.isAside }), newest.isFromTheFuture(now) {
        throw ClockWentBack(now: now, label: newest.label, stopTime: newest.stopTime)
    }
    var rules = RetentionRules(backups: ordered, timelines: timelines, policy: policy, now: now)
    rules.apply()
    return rules.decision(firstWAL)
}

extension RetainedBackup {
    /// A tolerance of a minute: the server's clock, which dates backups, may be another machine's.
    func isFromTheFuture(_ now: Moment) -> Bool { stopTime.microseconds > now.microseconds + 60_000_000 }
}
