public import WAL

/// The files a recovery along one timeline reads: its own from where it begins, its ancestors' before.
public struct LogPath: Hashable, Sendable {
    /// Segment numbers of one timeline, as far as this path follows it.
    public struct Step: Hashable, Sendable {
        public let timeline: TimelineID
        public let first: UInt64
        /// Nil for the last step.
        public let last: UInt64?
    }

    public let history: TimelineHistory
    public let segmentSize: UInt32
    /// Oldest first. A timeline that was left within its first segment has no files on the path.
    public let steps: [Step]

    public init(_ history: TimelineHistory, segmentSize: UInt32) {
        self.history = history
        self.segmentSize = segmentSize
        var steps: [Step] = []
        var begin: UInt64 = 0
        for ancestor in history.ancestors {
            // The segment with the switch point is read from the newer timeline.
            let left = ancestor.switchPoint.rawValue / UInt64(segmentSize)
            if left > begin { steps.append(Step(timeline: ancestor.timeline, first: begin, last: left - 1)) }
            begin = max(begin, left)
        }
        steps.append(Step(timeline: history.timeline, first: begin, last: nil))
        self.steps = steps
    }

    public func name(_ number: UInt64) -> SegmentName {
        let step = steps.last { $0.first <= number } ?? steps[0]
        return SegmentName(timeline: step.timeline, number: number, segmentSize: segmentSize)
    }

    /// The segments that are there from `number` on without a gap, step by step; empty when not even the first is.
    public func continuous(
        from number: UInt64, in set: SegmentSet
    ) -> [(timeline: TimelineID, numbers: ClosedRange<UInt64>)] {
        var pieces: [(timeline: TimelineID, numbers: ClosedRange<UInt64>)] = []
        var next = number
        for step in steps where step.last.map({ $0 >= next }) ?? true {
            guard let run = set.run(containing: next, on: step.timeline) else { break }
            let last = min(run.upperBound, step.last ?? .max)
            pieces.append((step.timeline, next...last))
            guard last == step.last else { break }
            next = last + 1
        }
        return pieces
    }
}
