import Repository
public import WAL

/// A base backup, with what matters about its WAL.
public struct BackupSpan: Hashable, Sendable {
    public let label: String
    public let timeline: TimelineID
    /// Replay starts here.
    public let start: LSN
    /// The copy is consistent from here on.
    public let stop: LSN
    public let startTime: Moment
    public let stopTime: Moment
    /// The timeline whose file of the last segment completed it.
    public let lastTimeline: TimelineID

    /// Without which it isn't consistent; nil when nobody knows where it ended.
    public var wal: BackupWAL? { BackupWAL(on: timeline, from: start, to: stop, lastTimeline: lastTimeline) }

    /// - Parameter lastTimeline: nil for the same as `timeline`.
    public init(
        label: String, timeline: TimelineID, start: LSN, stop: LSN, startTime: Moment, stopTime: Moment,
        lastTimeline: TimelineID? = nil
    ) {
        (self.label, self.timeline, self.start, self.stop) = (label, timeline, start, stop)
        (self.startTime, self.stopTime) = (startTime, stopTime)
        self.lastTimeline = lastTimeline ?? timeline
    }
}

/// Consecutive segments of one timeline whose links were verified.
public struct WALStretch: Hashable, Sendable {
    public let timeline: TimelineID
    public let first: SegmentName
    public let last: SegmentName
    public let segmentSize: UInt32
    public let totals: Catalog.Totals
    public let firstCommit: TransactionMark?
    public let lastCommit: TransactionMark?
    /// The timeline whose segment this stretch continues, if it is another one.
    public let goesOnFrom: TimelineID?

    public var rawBytes: Int64 { Int64(clamping: last.end(segmentSize: segmentSize).rawValue &- begin.rawValue) }
    public var begin: LSN { first.start(segmentSize: segmentSize) }
    public var end: LSN { last.end(segmentSize: segmentSize) }
}

/// A place where the WAL can't be followed.
public struct WALGap: Hashable, Sendable {
    public enum Cause: Hashable, Sendable {
        /// The segments aren't in the repository, for no known reason.
        case missing
        /// A `.partial` of the first one, or of its beginning, exists: its server never filled it.
        case unfinished(SegmentName)
        /// Some of them were put aside, under this name.
        case putAside(String)
        /// Another timeline has the first of them.
        case elsewhere(TimelineID)
        /// The segment is there, but damaged or unread.
        case unreadable(String)
        /// Both segments exist, but the later one doesn't continue the earlier one.
        case broken(String)
    }
    /// The timeline whose history has the gap.
    public let timeline: TimelineID
    /// The WAL between these can't be replayed; the same for a broken link.
    public let from: LSN
    public let to: LSN
    /// The segments that are absent or unreadable; nil for a broken link.
    public let missing: LineageGap?
    /// The segment that exists but that no recovery can replay; nil when segments are missing.
    public let obstacle: WALBreak?
    public let cause: Cause
    /// Whether it is missing on purpose.
    public var isExpired = false
    public let lastBefore: TransactionMark?
    public let firstAfter: TransactionMark?
    /// Whether a recovery reaches any moment before it.
    public let isReachedBefore: Bool
    /// The first backup with which the WAL after the gap can be used.
    public let nextBackup: BackupSpan?

    /// Whether a recovery from a backup can't get past it, or can't begin.
    public func affects(_ backup: BackupSpan, _ genealogy: Genealogy) -> Bool {
        // What is missing before its end keeps it from being consistent.
        backup.start < max(to, from) && genealogy.history(of: timeline).contains(backup.timeline, at: backup.stop)
    }

    public var firstMissing: SegmentName? { missing?.first }
    public var lastMissing: SegmentName? { missing?.last }

    /// `segments "…" to "…" are missing`, or what is wrong with the existing one; used by every command.
    public var sentence: String {
        if let obstacle { return obstacle.sentence }
        return missing?.sentence ?? "the WAL does not continue at LSN \(from)"
    }
}

extension Catalog {
    /// The WAL in the archive: stretches and gaps, by timeline and position.
    ///
    /// - Parameter expired: the segments that were removed on purpose.
    public func report(
        backups: [BackupSpan], expired: SegmentSet? = nil
    ) throws -> (stretches: [WALStretch], gaps: [WALGap]) {
        let wal = try archivedWAL(expired: expired, backups)
        var gaps: [WALGap] = []
        for missing in wal.gaps() { gaps.append(try gap(missing, try cause(of: missing, wal), wal, backups)) }
        for missing in wal.removals() {
            var removed = try gap(missing, try cause(of: missing, wal), wal, backups)
            removed.isExpired = true
            gaps.append(removed)
        }
        var stretches: [WALStretch] = []
        for timeline in wal.segments.timelines {
            for run in wal.segments.runs(of: timeline) {
                for piece in try pieces(of: timeline, run, wal, &gaps, backups) {
                    stretches.append(try stretch(timeline, piece, wal))
                }
            }
        }
        return (stretches, gaps.sorted { ($0.timeline, $0.from, $0.to) < ($1.timeline, $1.from, $1.to) })
    }

    /// The gaps that affect a recovery from one of the backups.
    ///
    /// - Parameter expired: the segments that were removed on purpose.
    public func gaps(after backups: [BackupSpan], expired: SegmentSet) throws -> [WALGap] {
        let genealogy = try genealogy()
        return try report(backups: backups, expired: expired).gaps.filter { gap in
            backups.contains { gap.affects($0, genealogy) }
        }
    }

    /// What is archived, with what these backups tell of it.
    func archivedWAL(
        expired: SegmentSet? = nil, breaks: [WALBreak] = [], _ backups: [BackupSpan]
    ) throws -> ArchivedWAL {
        ArchivedWAL(
            try segments(), try genealogy(), expired: expired, breaks: breaks, backups: backups.compactMap(\.wal))
    }

    /// Why segments aren't there, as far as what is there tells.
    private func cause(of gap: LineageGap, _ wal: ArchivedWAL) throws -> WALGap.Cause {
        let (first, number) = (gap.first, gap.numbers.lowerBound)
        if let name = try archive.aside(gap).first { return .putAside(name) }
        let beginnings = wal.genealogy.lineage(of: gap.last.timeline).substitutes(for: number).map(\.name)
        if let whole = beginnings.last(where: wal.segments.contains) { return .elsewhere(whole.timeline) }
        for name in [first] + beginnings.reversed()
        where try archive.partials(timeline: name.timeline, from: name).first == name {
            return .unfinished(name)
        }
        if let other = wal.segments.timelines.last(where: { other in
            other != first.timeline && wal.segments.contains(first.on(other))
        }) {
            return .elsewhere(other)
        }
        return .missing
    }

    /// Splits a run where it isn't continuous.
    private func pieces(
        of timeline: TimelineID, _ run: ClosedRange<UInt64>, _ wal: ArchivedWAL, _ gaps: inout [WALGap],
        _ backups: [BackupSpan]
    ) throws -> [ClosedRange<UInt64>] {
        let size = wal.segments.segmentSize
        var pieces: [ClosedRange<UInt64>] = []
        var begin = run.lowerBound
        for row in try notable(of: timeline, run) {
            let number = row.name.number(segmentSize: size)
            let isUnreadable = row.state != .read
            guard isUnreadable || row.link == .broken else { continue }
            if number > begin { pieces.append(begin...number - 1) }
            let problem = row.problem ?? "It cannot be read."
            // This concerns the file only, whatever the timeline's history.
            let alone = Lineage(TimelineHistory(timeline), segmentSize: size)
            let without = SegmentSet([], segmentSize: size)
            if isUnreadable, let one = alone.gaps(number...number, in: without).first {
                gaps.append(try gap(one, .unreadable(problem), wal, backups))
                begin = number + 1
            } else {
                gaps.append(try gap(at: number, of: timeline, .broken(problem), wal, backups))
                begin = number
            }
        }
        if begin <= run.upperBound { pieces.append(begin...run.upperBound) }
        return pieces
    }

    private func stretch(
        _ timeline: TimelineID, _ numbers: ClosedRange<UInt64>, _ wal: ArchivedWAL
    ) throws -> WALStretch {
        let size = wal.segments.segmentSize
        let first = SegmentName(timeline: timeline, number: numbers.lowerBound, segmentSize: size)
        let before = wal.genealogy.predecessor(of: first)
        let parent = before.flatMap { $0.timeline != timeline && wal.segments.contains($0) ? $0.timeline : nil }
        return WALStretch(
            timeline: timeline, first: first,
            last: SegmentName(timeline: timeline, number: numbers.upperBound, segmentSize: size), segmentSize: size,
            totals: try totals(of: timeline, numbers),
            firstCommit: try nearestWithCommits(of: timeline, numbers, fromEnd: false)?.firstCommit,
            lastCommit: try nearestWithCommits(of: timeline, numbers, fromEnd: true)?.lastCommit,
            goesOnFrom: parent)
    }

    private func gap(
        _ missing: LineageGap, _ cause: WALGap.Cause, _ wal: ArchivedWAL, _ backups: [BackupSpan]
    ) throws -> WALGap {
        let lineage = wal.genealogy.lineage(through: missing.last.timeline)
        return WALGap(
            timeline: missing.last.timeline, from: missing.from, to: missing.to, missing: missing,
            obstacle: obstacle(missing.first, cause), cause: cause,
            lastBefore: try substitute(for: missing.numbers.lowerBound, on: lineage, wal.segments)?.lastCommit
                ?? lastCommit(before: missing.numbers.lowerBound, on: lineage, wal),
            firstAfter: try firstCommit(from: missing.numbers.upperBound + 1, on: lineage, wal),
            isReachedBefore: isReached(before: missing.from, on: lineage, wal, backups),
            nextBackup: nextBackup(after: missing.to, through: missing.last, wal, backups))
    }

    private func gap(
        at number: UInt64, of timeline: TimelineID, _ cause: WALGap.Cause, _ wal: ArchivedWAL, _ backups: [BackupSpan]
    ) throws -> WALGap {
        let lineage = wal.genealogy.lineage(of: timeline)
        let place = LSN(number &* UInt64(wal.segments.segmentSize))
        return WALGap(
            timeline: timeline, from: place, to: place, missing: nil, obstacle: obstacle(lineage.file(number), cause),
            cause: cause,
            lastBefore: try lastCommit(before: number, on: lineage, wal),
            firstAfter: try firstCommit(from: number, on: lineage, wal),
            isReachedBefore: isReached(before: place, on: lineage, wal, backups),
            nextBackup: nextBackup(after: place, through: lineage.file(number), wal, backups))
    }

    private func obstacle(_ name: SegmentName, _ cause: WALGap.Cause) -> WALBreak? {
        switch cause {
        case .unreadable(let reason): WALBreak(name, isLink: false, reason: reason)
        case .broken(let reason): WALBreak(name, isLink: true, reason: reason)
        default: nil
        }
    }

    private func lastCommit(before number: UInt64, on lineage: Lineage, _ wal: ArchivedWAL) throws -> TransactionMark? {
        guard number > 0 else { return nil }
        for piece in lineage.archived(0...number - 1, in: wal.segments).reversed() {
            if let row = try nearestWithCommits(of: piece.timeline, piece.numbers, fromEnd: true) {
                return row.lastCommit
            }
        }
        return nil
    }

    private func firstCommit(from number: UInt64, on lineage: Lineage, _ wal: ArchivedWAL) throws -> TransactionMark? {
        for piece in lineage.archived(number...UInt64.max, in: wal.segments) {
            if let row = try nearestWithCommits(of: piece.timeline, piece.numbers, fromEnd: false) {
                return row.firstCommit
            }
        }
        return nil
    }

    /// Whether some backup of a history is consistent before a position.
    private func isReached(
        before position: LSN, on lineage: Lineage, _ wal: ArchivedWAL, _ backups: [BackupSpan]
    ) -> Bool {
        backups.contains { backup in
            backup.stop <= position && lineage.path.contains(backup.timeline, upTo: backup.stop)
                && backup.stop <= wal.reach(from: backup.start, on: lineage).end
        }
    }

    /// The first backup after a gap, on any history that has the gap.
    private func nextBackup(
        after position: LSN, through name: SegmentName, _ wal: ArchivedWAL, _ backups: [BackupSpan]
    ) -> BackupSpan? {
        backups.filter { $0.start >= position && wal.genealogy.lineage(of: $0.timeline).reads(name) }
            .min { $0.stop < $1.stop }
    }
}
