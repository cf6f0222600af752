/// What an archive holds of the WAL: its gaps, and how far a recovery gets. Every command that reports gaps uses this,
/// so that all of them report the same ones.
public struct ArchivedWAL: Sendable {
    public let genealogy: Genealogy
    public let segments: SegmentSet
    /// Segments that were removed on purpose. They end a recovery, too.
    public let expired: SegmentSet
    /// Segments that exist but end a recovery.
    public let breaks: [SegmentName: WALBreak]
    private let wanted: SegmentSet
    private let backups: [BackupWAL]
    /// The last segments of which something else tells that they were archived, as far as they are missing.
    private let lost: [SegmentName]

    /// - Parameters:
    ///   - breaks: those that are known.
    ///   - backups: what complete backups need, and so was archived.
    ///   - acknowledged: the last segment that a server was told is archived.
    public init(
        _ segments: SegmentSet, _ genealogy: Genealogy, expired: SegmentSet? = nil, breaks: [WALBreak] = [],
        backups: [BackupWAL] = [], acknowledged: SegmentName? = nil
    ) {
        (self.segments, self.backups) = (segments, backups)
        let ends = backups.filter { !genealogy.lastFiles(of: $0).contains(where: segments.contains) }
            .map { $0.last(segmentSize: segments.segmentSize) }
        lost =
            ends.filter { !segments.contains($0) }
            + [acknowledged].compactMap(\.self)
            .filter { !segments.contains($0) && !genealogy.isContinued($0, in: segments) }
        self.breaks = Dictionary(breaks.map { ($0.segment, $0) }) { first, _ in first }
        self.genealogy = genealogy
        self.expired = expired ?? SegmentSet(segmentSize: segments.segmentSize)
        wanted = segments.union(self.expired)
    }

    /// The gaps in the history of any timeline, each once: by timeline, oldest first.
    ///
    /// A history is looked at from the first segment that the archive has of it or that a backup needs, which may come
    /// long after the timeline's beginning, to the last one that the timeline itself has, or is known to have had: what
    /// was never archived after that may still come.
    public func gaps() -> [LineageGap] { all { lineage, range in lineage.gaps(range, in: wanted) } }

    /// The gaps after a position, on the histories that pass it.
    public func gaps(after position: LSN, on timeline: TimelineID) -> [LineageGap] {
        gaps().filter { gap in
            gap.from >= position && genealogy.history(of: gap.last.timeline).contains(timeline, at: position)
        }
    }

    /// The segments that were removed on purpose, in the same form.
    public func removals() -> [LineageGap] {
        var others = segments
        for range in gaps().flatMap(\.ranges) {
            let size = segments.segmentSize
            others.insert(
                range.first.number(segmentSize: size)...range.last.number(segmentSize: size), on: range.first.timeline)
        }
        return all { lineage, range in lineage.gaps(range, in: others) }
    }

    private func all(_ find: (Lineage, ClosedRange<UInt64>) -> [LineageGap]) -> [LineageGap] {
        var found: [LineageGap] = []
        var known: Set<LineageGap> = []
        for timeline in Set(segments.timelines + lost.map(\.timeline)).sorted() {
            let lineage = genealogy.lineage(of: timeline)
            let lost = lost.lazy.filter { $0.timeline == timeline }
                .map { $0.number(segmentSize: lineage.segmentSize) }
            let firsts = [lineage.archived(in: segments).first?.numbers.lowerBound, firstNeeded(on: lineage)]
            guard let first = firsts.compactMap({ $0 }).min(),
                let last = [segments.highest(on: timeline), lost.max()].compactMap({ $0 }).max(), first <= last
            else { continue }
            for gap in find(lineage, first...last) where known.insert(gap).inserted { found.append(gap) }
        }
        // A descendant's segments tell more of what is missing after a timeline's last one.
        return found.filter { gap in !isOpen(gap) || !found.contains { $0 != gap && $0.includes(gap) } }
    }

    /// The number of the first segment that a backup on a history needs.
    public func firstNeeded(on lineage: Lineage) -> UInt64? {
        let history = genealogy.history(of: lineage.timeline)
        return backups.lazy.filter { history.contains($0.timeline, at: $0.stop) }.map(\.start).min()
            .map { $0.rawValue / UInt64(lineage.segmentSize) }
    }

    /// Whether nothing of the gap's timeline is archived after it: only a backup tells that it is one.
    public func isOpen(_ gap: LineageGap) -> Bool {
        segments.highest(on: gap.last.timeline).map { $0 < gap.numbers.upperBound } ?? true
    }

    /// The gaps in one timeline's history between a segment and the newest one; the timeline may have none yet. One in
    /// which the segment lies is told from its beginning, as far as backups show that there was WAL before.
    public func gaps(on lineage: Lineage, from number: UInt64) -> [LineageGap] {
        guard let newest = newest(on: lineage), newest >= number else { return [] }
        let first = wanted.contains(lineage.file(number)) ? number : beginning(ofGapAt: number, on: lineage)
        return lineage.gaps(first...newest, in: wanted)
    }

    /// The number of the newest segment of a history that is there, or is known to have been.
    public func newest(on lineage: Lineage) -> UInt64? {
        let lost = lost.lazy.filter(lineage.reads).map { $0.number(segmentSize: lineage.segmentSize) }.max()
        return [lineage.newest(in: segments), lost].compactMap { $0 }.max()
    }

    /// Where a recovery that begins in a segment doesn't get on although the next one is there, oldest first.
    public func breaks(on lineage: Lineage, from number: UInt64) -> [WALBreak] {
        breaks.values.filter { found in
            let place = found.segment.number(segmentSize: lineage.segmentSize)
            return lineage.reads(found.segment) && segments.contains(found.segment)
                // The link of the first one to its predecessor doesn't matter.
                && (place > number || place == number && !found.isLink)
        }.sorted {
            $0.segment.number(segmentSize: lineage.segmentSize) < $1.segment.number(segmentSize: lineage.segmentSize)
        }
    }

    /// How far a recovery from a backup gets along a history.
    public func reach(from start: LSN, on lineage: Lineage) -> Reach {
        let size = UInt64(lineage.segmentSize)
        let first = start.rawValue / size
        let pieces = lineage.continuous(from: first, in: segments)
        if let found = breaks(on: lineage, from: first).first {
            let number = found.segment.number(segmentSize: lineage.segmentSize)
            if let last = pieces.last, last.numbers.upperBound >= number {
                let kept = number > first ? lineage.continuous(from: first, in: segments, below: number) : []
                return Reach(pieces: kept, end: LSN(number &* size), gap: nil, stop: found)
            }
        }
        let next = pieces.last.map { $0.numbers.upperBound + 1 } ?? first
        guard let newest = newest(on: lineage), newest >= next else {
            return Reach(pieces: pieces, end: LSN(next &* size), gap: nil, stop: nil)
        }
        let missing = pieces.isEmpty ? beginning(ofGapAt: next, on: lineage) : next
        let gap = lineage.gaps(missing...newest, in: segments).first
        return Reach(pieces: pieces, end: LSN(next &* size), gap: gap, stop: nil)
    }

    /// Where the gap begins in which a backup's first segment lies.
    private func beginning(ofGapAt number: UInt64, on lineage: Lineage) -> UInt64 {
        guard number > 0, let needed = firstNeeded(on: lineage) else { return number }
        let before = lineage.archived(0...number - 1, in: wanted).last?.numbers.upperBound
        return before.map { $0 + 1 } ?? min(number, needed)
    }

    /// The WAL that a recovery can replay.
    public struct Reach: Sendable {
        /// By timeline, oldest first; empty when the first segment is missing.
        public let pieces: [(timeline: TimelineID, numbers: ClosedRange<UInt64>)]
        /// The end of the last segment.
        public let end: LSN
        /// What is missing then; nil when nothing newer is archived, or was.
        public let gap: LineageGap?
        /// The segment that follows but can't be replayed.
        public let stop: WALBreak?
    }
}

/// The WAL that a complete backup needs. It was archived: without its last segment no backup becomes complete.
public struct BackupWAL: Hashable, Sendable {
    public let timeline: TimelineID
    public let start: LSN
    /// Exclusive; after `start`.
    public let stop: LSN
    /// The timeline whose file of the last segment was archived when the backup was completed.
    public let lastTimeline: TimelineID

    /// - Parameter lastTimeline: nil for the same as `timeline`.
    /// - Returns: nil unless `stop` is after `start`.
    public init?(on timeline: TimelineID, from start: LSN, to stop: LSN, lastTimeline: TimelineID? = nil) {
        guard start < stop else { return nil }
        (self.timeline, self.start, self.stop) = (timeline, start, stop)
        self.lastTimeline = lastTimeline ?? timeline
    }

    public func last(segmentSize: UInt32) -> SegmentName {
        SegmentName(timeline: lastTimeline, containing: LSN(stop.rawValue - 1), segmentSize: segmentSize)
    }
}

/// A segment that exists, but ends a recovery.
public struct WALBreak: Hashable, Sendable {
    public let segment: SegmentName
    /// Whether it is sound, but doesn't continue the one before it.
    public let isLink: Bool
    /// As sentences.
    public let reason: String

    public init(_ segment: SegmentName, isLink: Bool, reason: String) {
        (self.segment, self.isLink, self.reason) = (segment, isLink, reason)
    }

    /// `segment "…" does not continue the one before it`; used by every command.
    public var sentence: String {
        "segment \"\(segment)\" " + (isLink ? "does not continue the one before it" : "cannot be read")
    }
}

extension LineageGap {
    /// Whether all that is missing of another gap is missing of this one.
    public func includes(_ other: LineageGap) -> Bool {
        other.ranges.allSatisfy { its in
            ranges.contains { $0.first.timeline == its.first.timeline && $0.first <= its.first && its.last <= $0.last }
        }
    }

    /// `segment "000000010000000000000003"`, or `segments` and the first and the last.
    public var description: String {
        first == last ? "segment \"\(first)\"" : "segments \"\(first)\" to \"\(last)\""
    }

    /// The description, and ` is missing` or ` are missing`.
    public var sentence: String { description + (first == last ? " is missing" : " are missing") }
}
