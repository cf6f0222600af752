/// The timelines of a history, oldest first: those that a recovery along it passes through (`expectedTLEs` of
/// PostgreSQL's recovery).
public struct TimelinePath: Hashable, Sendable {
    public struct Step: Hashable, Sendable {
        public let timeline: TimelineID
        /// Where the timeline begins on this path; zero for the first.
        public let begin: LSN
        /// Where the next one begins; nil for the last.
        public let end: LSN?
    }
    /// Never empty.
    public let steps: [Step]
    /// The newest timeline.
    public var target: TimelineID { steps[steps.count - 1].timeline }

    public init(_ history: TimelineHistory) {
        var steps: [Step] = []
        var begin = LSN.zero
        for ancestor in history.ancestors {
            steps.append(Step(timeline: ancestor.timeline, begin: begin, end: ancestor.switchPoint))
            begin = max(begin, ancestor.switchPoint)
        }
        self.steps = steps + [Step(timeline: history.timeline, begin: begin, end: nil)]
    }

    /// The path to `timeline`; nil when it has no history file and isn't the first one.
    ///
    /// - Parameter known: whether the archive holds segments of it: then it counts as one without ancestors, as in
    ///   PostgreSQL (`readTimeLineHistory`).
    public init?(to timeline: TimelineID, histories: [TimelineID: TimelineHistory], known: Bool) {
        guard histories[timeline] != nil || timeline == TimelineID(1) || known else { return nil }
        self.init(histories[timeline] ?? TimelineHistory(timeline))
    }

    private init(steps: [Step]) { self.steps = steps }

    /// The paths without the newest timelines of this one, shortest first.
    public var shorter: [TimelinePath] {
        steps.indices.dropLast().map { last in
            let newest = Step(timeline: steps[last].timeline, begin: steps[last].begin, end: nil)
            return TimelinePath(steps: steps[..<last] + [newest])
        }
    }

    /// Where the history leaves a timeline; nil for the newest one, and for one that isn't on it.
    public func end(of timeline: TimelineID) -> LSN? { steps.first { $0.timeline == timeline }?.end }

    /// Whether everything up to a position on `timeline` is part of this history.
    public func contains(_ timeline: TimelineID, upTo position: LSN) -> Bool {
        guard let step = steps.first(where: { $0.timeline == timeline }) else { return false }
        return step.end.map { position <= $0 } ?? true
    }

    /// The timeline that the byte at `position` belongs to; at a switch point, the new one.
    public func timeline(at position: LSN) -> TimelineID {
        (steps.last { $0.begin <= position } ?? steps[0]).timeline
    }

    /// The last timeline and position that both paths pass through.
    public func parting(from other: TimelinePath) -> (timeline: TimelineID, LSN) {
        var found = (timeline: steps[0].timeline, LSN.zero)
        for (mine, its) in zip(steps, other.steps) {
            guard mine.timeline == its.timeline else { break }
            switch (mine.end, its.end) {
            case (let a?, let b?): found = (mine.timeline, min(a, b))
            case (let end?, nil), (nil, let end?): found = (mine.timeline, end)
            case (nil, nil): break
            }
            if mine.end != its.end { break }
        }
        return found
    }

    /// The files that hold this history.
    public func lineage(segmentSize: UInt32) -> Lineage { Lineage(self, segmentSize: segmentSize) }

    /// The file that recovery should read for segment `number`.
    public func segment(_ number: UInt64, segmentSize: UInt32) -> SegmentName {
        lineage(segmentSize: segmentSize).file(number)
    }
}
