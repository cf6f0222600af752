/// One timeline's history cut into segments: which file holds each of them, as in PostgreSQL's recovery.
///
/// The segment in which a timeline was left exists on that timeline and on the next; the newer file starts with a copy
/// of the older one's bytes. So each segment is read from the newest timeline of the history that has begun by the
/// segment's end (`XLogFileReadAnyTLI`, src/backend/access/transam/xlogrecovery.c). A timeline that was left within its
/// first segment has no file on the history at all.
public struct Lineage: Hashable, Sendable {
    public let segmentSize: UInt32
    public let path: TimelinePath
    /// Oldest first; never empty.
    public var steps: [TimelinePath.Step] { path.steps }

    public init(_ path: TimelinePath, segmentSize: UInt32) { (self.path, self.segmentSize) = (path, segmentSize) }

    public init(_ history: TimelineHistory, segmentSize: UInt32) {
        self.init(TimelinePath(history), segmentSize: segmentSize)
    }

    /// The newest timeline of the history.
    public var timeline: TimelineID { path.target }

    /// Where the history leaves a timeline; nil for the newest one, and for one that isn't on it.
    public func end(of timeline: TimelineID) -> LSN? { path.end(of: timeline) }

    // MARK: Files

    private func number(of position: LSN) -> UInt64 { position.rawValue / UInt64(segmentSize) }

    private func name(_ number: UInt64, on timeline: TimelineID) -> SegmentName {
        SegmentName(timeline: timeline, number: number, segmentSize: segmentSize)
    }

    /// The file that holds segment `number`.
    public func file(_ number: UInt64) -> SegmentName {
        name(number, on: (steps.last { self.number(of: $0.begin) <= number } ?? steps[0]).timeline)
    }

    /// The file that holds the byte at `position`.
    public func file(containing position: LSN) -> SegmentName { file(number(of: position)) }

    /// Whether a recovery along this history reads that file, and not another timeline's.
    public func reads(_ name: SegmentName) -> Bool { file(name.number(segmentSize: segmentSize)) == name }

    /// The file before a segment's file or, for a segment that isn't on this history, before its place in the WAL; nil
    /// for the first.
    public func file(before name: SegmentName) -> SegmentName? {
        let number = name.number(segmentSize: segmentSize)
        return number == 0 ? nil : file(number - 1)
    }

    /// The file after a segment's.
    public func file(after name: SegmentName) -> SegmentName { file(name.number(segmentSize: segmentSize) + 1) }

    /// The numbers of the segments that are read from a step's files; nil when there are none.
    public func numbers(of step: Int) -> ClosedRange<UInt64>? {
        let first = number(of: steps[step].begin)
        guard step + 1 < steps.count else { return first...UInt64.max }
        let next = number(of: steps[step + 1].begin)
        return next > first ? first...next - 1 : nil
    }

    /// Segment numbers by the timeline whose files hold them, oldest first.
    public func stretches(
        _ range: ClosedRange<UInt64>
    ) -> [(timeline: TimelineID, numbers: ClosedRange<UInt64>)] {
        steps.indices.compactMap { step in
            guard let numbers = numbers(of: step), numbers.overlaps(range) else { return nil }
            return (steps[step].timeline, numbers.clamped(to: range))
        }
    }

    /// Files of older timelines that hold the beginning of segment `number`, each with the step that follows it there,
    /// oldest first. PostgreSQL reads the newest of them when the right one is missing. It never returns to a timeline
    /// older than the one it already reads, so what a parent wrote in later segments doesn't matter.
    public func substitutes(for number: UInt64) -> [(name: SegmentName, next: TimelinePath.Step)] {
        let right = file(number).timeline
        return zip(steps, steps.dropFirst()).prefix { $0.0.timeline != right }
            .filter { self.number(of: $1.begin) == number }
            .map { (name(number, on: $0.timeline), $1) }
    }

    // MARK: In an archive

    /// The segments of this history among `archived`, by the timeline whose files hold them, oldest first.
    public func archived(
        _ range: ClosedRange<UInt64> = 0...UInt64.max, in archived: SegmentSet
    ) -> [(timeline: TimelineID, numbers: ClosedRange<UInt64>)] {
        stretches(range).flatMap { timeline, numbers in
            archived.runs(of: timeline).filter { $0.overlaps(numbers) }.map { (timeline, $0.clamped(to: numbers)) }
        }
    }

    /// The number of the newest segment of this history among `archived`. What an ancestor wrote after it was left
    /// doesn't count.
    public func newest(in archived: SegmentSet) -> UInt64? {
        self.archived(in: archived).last?.numbers.upperBound
    }

    /// The archived segments from `number` on, up to the first gap; empty when the first is missing.
    ///
    /// - Parameter limit: the number before which to stop.
    public func continuous(
        from number: UInt64, in archived: SegmentSet, below limit: UInt64? = nil
    ) -> [(timeline: TimelineID, numbers: ClosedRange<UInt64>)] {
        var next = number
        return Array(
            self.archived(number...(limit.map { max(number, $0 - 1) } ?? UInt64.max), in: archived).prefix { piece in
                guard piece.numbers.lowerBound == next else { return false }
                next = piece.numbers.upperBound + 1
                return true
            })
    }

    /// The gaps among the segments `range`, oldest first; consecutive segments form one gap, also across timelines.
    ///
    /// - Parameter ends: where the records of files end whose timeline was left before they were full. Such a file
    ///   leaves a gap when the history continues in the next segment.
    public func gaps(
        _ range: ClosedRange<UInt64>, in archived: SegmentSet, ends: [SegmentName: LSN] = [:]
    ) -> [LineageGap] {
        var gaps: [LineageGap] = []
        func add(_ numbers: ClosedRange<UInt64>, from: LSN? = nil) {
            var (first, begin) = (numbers.lowerBound, from ?? self.reach(of: numbers.lowerBound, in: archived, ends))
            if let last = gaps.last, last.numbers.upperBound + 1 == first {
                (first, begin) = (last.numbers.lowerBound, last.from)
                gaps.removeLast()
            }
            gaps.append(gap(first...numbers.upperBound, from: begin))
        }
        var next = range.lowerBound
        for piece in self.archived(range, in: archived) {
            let first = piece.numbers.lowerBound
            if first > next { add(next...first - 1) }
            for (name, end) in ends.sorted(by: { $0.key < $1.key }) where name.timeline == piece.timeline {
                let number = name.number(segmentSize: segmentSize)
                // The last segment of the range may end early.
                if piece.numbers.contains(number), number < range.upperBound { add(number...number, from: end) }
            }
            guard piece.numbers.upperBound < range.upperBound else { return gaps }
            next = piece.numbers.upperBound + 1
        }
        add(next...range.upperBound)
        return gaps
    }

    /// How far the WAL reaches when the file of segment `number` is missing: to the segment's beginning, or to where an
    /// older timeline was left in it, if that one's file is archived.
    private func reach(of number: UInt64, in archived: SegmentSet, _ ends: [SegmentName: LSN]) -> LSN {
        guard let (name, next) = substitutes(for: number).last(where: { archived.contains($0.name) }) else {
            return LSN(number &* UInt64(segmentSize))
        }
        return min(next.begin, ends[name] ?? next.begin)
    }

    private func gap(_ numbers: ClosedRange<UInt64>, from: LSN) -> LineageGap {
        LineageGap(
            segmentSize: segmentSize, numbers: numbers, from: from,
            to: LSN((numbers.upperBound &+ 1) &* UInt64(segmentSize)),
            ranges: stretches(numbers).map { timeline, numbers in
                SegmentRange(
                    first: name(numbers.lowerBound, on: timeline), last: name(numbers.upperBound, on: timeline),
                    count: numbers.count)
            })
    }
}

/// Consecutive segments of a history that are missing.
public struct LineageGap: Hashable, Sendable {
    public let segmentSize: UInt32
    public let numbers: ClosedRange<UInt64>
    /// The end of the WAL before the gap.
    public let from: LSN
    /// The beginning of the WAL after it.
    public let to: LSN
    /// By timeline, oldest first.
    public let ranges: [SegmentRange]

    public var first: SegmentName { ranges[0].first }
    public var last: SegmentName { ranges[ranges.count - 1].last }
    public var count: Int { numbers.count }

    /// Their names, oldest first.
    public var names: some Sequence<SegmentName> {
        ranges.lazy.flatMap { range in
            (0..<range.count).lazy.map {
                SegmentName(
                    timeline: range.first.timeline, number: range.first.number(segmentSize: segmentSize) + UInt64($0),
                    segmentSize: segmentSize)
            }
        }
    }
}
