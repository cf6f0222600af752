public import WAL

/// The timelines a recovery passes through, oldest first: `expectedTLEs` of PostgreSQL's recovery.
public struct TimelinePath: Hashable, Sendable {
    public struct Step: Hashable, Sendable {
        public var timeline: TimelineID
        /// Where the timeline begins on this path; zero for the first.
        public var begin: LSN
        /// Where the next one begins; nil for the last.
        public var end: LSN?
    }
    public let steps: [Step]
    public var target: TimelineID { steps[steps.count - 1].timeline }

    /// The path to `timeline`; nil when it has no history file and isn't the first one.
    ///
    /// A timeline without a history file counts as one without ancestors when the archive holds segments of it
    /// (`known`), as in PostgreSQL (`readTimeLineHistory`).
    public init?(to timeline: TimelineID, histories: [TimelineID: TimelineHistory], known: Bool) {
        guard histories[timeline] != nil || timeline == TimelineID(1) || known else { return nil }
        var steps: [Step] = []
        var begin = LSN.zero
        for ancestor in histories[timeline]?.ancestors ?? [] {
            steps.append(Step(timeline: ancestor.timeline, begin: begin, end: ancestor.switchPoint))
            begin = ancestor.switchPoint
        }
        steps.append(Step(timeline: timeline, begin: begin, end: nil))
        self.steps = steps
    }

    private init(steps: [Step]) { self.steps = steps }

    /// A path of one timeline, ignoring its ancestors.
    init(alone timeline: TimelineID) { steps = [Step(timeline: timeline, begin: .zero, end: nil)] }

    /// The paths without the newest timelines of this one, shortest first.
    var shorter: [TimelinePath] {
        steps.indices.dropLast().map { last in
            var kept = Array(steps[...last])
            kept[last].end = nil
            return TimelinePath(steps: kept)
        }
    }

    /// Whether everything up to a position on `timeline` is part of this history.
    public func contains(_ timeline: TimelineID, upTo position: LSN) -> Bool {
        guard let step = steps.first(where: { $0.timeline == timeline }) else { return false }
        return step.end.map { position <= $0 } ?? true
    }

    /// The timeline that `position` belongs to; at a switch point, the new one.
    public func timeline(at position: LSN) -> TimelineID {
        steps.last { $0.begin <= position }?.timeline ?? steps[0].timeline
    }

    /// The files that hold this history.
    func lineage(segmentSize: UInt32) -> Lineage {
        let ancestors = steps.dropLast().map {
            TimelineHistory.Ancestor(timeline: $0.timeline, switchPoint: $0.end ?? .zero)
        }
        return Lineage(TimelineHistory(timeline: target, ancestors: ancestors), segmentSize: segmentSize)
    }

    /// The file that recovery should read for segment `number`.
    public func segment(_ number: UInt64, segmentSize: UInt32) -> SegmentName {
        lineage(segmentSize: segmentSize).file(number)
    }

    /// Files of older timelines that hold the beginning of segment `number`, each with the timeline that follows it
    /// there, oldest first.
    func substitutes(_ number: UInt64, segmentSize: UInt32) -> [(name: SegmentName, next: Step)] {
        lineage(segmentSize: segmentSize).substitutes(for: number).map { name, next in
            (name, Step(timeline: next.timeline, begin: next.begin, end: next.end))
        }
    }
}
