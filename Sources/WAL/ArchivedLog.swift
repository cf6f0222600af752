/// What an archive holds of the log: which of it is missing, and how far a recovery gets. Every command that speaks of gaps
/// asks this, so that all of them tell the same ones.
public struct ArchivedLog: Sendable {
    public let genealogy: Genealogy
    public let segments: SegmentSet
    /// What is not there on purpose. A recovery doesn't get over it either.
    public let expired: SegmentSet
    private let wanted: SegmentSet

    public init(_ segments: SegmentSet, _ genealogy: Genealogy, expired: SegmentSet? = nil) {
        self.segments = segments
        self.genealogy = genealogy
        self.expired = expired ?? SegmentSet(segmentSize: segments.segmentSize)
        wanted = segments.union(self.expired)
    }

    /// What is missing on the history of any timeline, each gap once: by timeline, oldest first.
    ///
    /// A history is looked at from the archive's first segment of it, or from where its timeline began, to the last one
    /// that the timeline itself has: what was never archived behind that may still come.
    public func gaps() -> [LineageGap] { all { lineage, range in lineage.gaps(range, in: wanted) } }

    /// What is missing on purpose, in the same way.
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
        for timeline in segments.timelines {
            let lineage = genealogy.lineage(of: timeline)
            guard let first = lineage.archived(in: segments).first?.numbers.lowerBound,
                let last = segments.highest(on: timeline)
            else { continue }
            let begin = lineage.numbers(of: lineage.steps.count - 1)?.lowerBound ?? 0
            // Without a history nobody knows where the timeline began.
            let start = begin > 0 ? min(first, begin) : first
            guard start <= last else { continue }
            for gap in find(lineage, start...last) where !found.contains(gap) { found.append(gap) }
        }
        return found
    }

    /// What is missing on one timeline's history between a segment and the newest one; the timeline may have none yet.
    public func gaps(on lineage: Lineage, from number: UInt64) -> [LineageGap] {
        guard let newest = lineage.newest(in: segments), newest >= number else { return [] }
        return lineage.gaps(number...newest, in: wanted)
    }

    /// How far a recovery from a backup gets along a history.
    public func reach(from start: LSN, on lineage: Lineage) -> Reach {
        let size = UInt64(lineage.segmentSize)
        let first = start.rawValue / size
        let pieces = lineage.continuous(from: first, in: segments)
        let next = pieces.last.map { $0.numbers.upperBound + 1 } ?? first
        guard let newest = lineage.newest(in: segments), newest >= next else {
            return Reach(pieces: pieces, end: LSN(next &* size), gap: nil)
        }
        let gap = lineage.gaps(next...newest, in: segments).first
        return Reach(pieces: pieces, end: LSN(next &* size), gap: gap)
    }

    /// The stretch of log that a recovery can replay.
    public struct Reach: Sendable {
        /// By timeline, oldest first; empty when not even the first segment is there.
        public let pieces: [(timeline: TimelineID, numbers: ClosedRange<UInt64>)]
        /// Behind the last segment.
        public let end: LSN
        /// What is missing then; nil when nothing newer is archived.
        public let gap: LineageGap?
    }
}

extension LineageGap {
    /// `segment "000000010000000000000003"`, or `segments` and the first and the last.
    public var description: String {
        first == last ? "segment \"\(first)\"" : "segments \"\(first)\" to \"\(last)\""
    }

    /// The same and ` is missing`.
    public var sentence: String { description + (first == last ? " is missing" : " are missing") }
}
