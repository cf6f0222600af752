public import WAL

/// The timelines a recovery passes through, oldest first: `expectedTLEs` of PostgreSQL's recovery.
public struct TimelinePath: Hashable, Sendable {
    public struct Step: Hashable, Sendable {
        public var timeline: TimelineID
        /// The timeline counts from here; zero for the first.
        public var begin: LSN
        /// The next one takes over here; nil for the last.
        public var end: LSN?
    }
    public let steps: [Step]
    public var target: TimelineID { steps[steps.count - 1].timeline }

    /// The path to `timeline`; nil when it has no history file and isn't the first one.
    ///
    /// A timeline without history file counts as one without ancestors when the archive holds segments of it (`known`):
    /// so PostgreSQL reads it (`readTimeLineHistory`).
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

    /// A timeline's own files, whatever they descend from.
    init(alone timeline: TimelineID) { steps = [Step(timeline: timeline, begin: .zero, end: nil)] }

    /// The paths that leave out the newest timelines of this one, shortest first.
    var shorter: [TimelinePath] {
        steps.indices.dropLast().map { last in
            var kept = Array(steps[...last])
            kept[last].end = nil
            return TimelinePath(steps: kept)
        }
    }

    /// Whether the whole stretch is part of this history: written on `timeline` before the path left it.
    public func contains(_ timeline: TimelineID, upTo position: LSN) -> Bool {
        guard let step = steps.first(where: { $0.timeline == timeline }) else { return false }
        return step.end.map { position <= $0 } ?? true
    }

    /// The timeline that `position` belongs to; at a switch point, the new one.
    public func timeline(at position: LSN) -> TimelineID {
        steps.last { $0.begin <= position }?.timeline ?? steps[0].timeline
    }

    /// The file that recovery should read for segment `number`: the one of the newest timeline that has begun by its
    /// end. The first segment of a timeline starts with its parent's bytes, so nothing is lost by that.
    public func segment(_ number: UInt64, segmentSize: UInt32) -> SegmentName {
        let step = steps.last { $0.begin == .zero || $0.begin.rawValue / UInt64(segmentSize) <= number } ?? steps[0]
        return SegmentName(timeline: step.timeline, number: number, segmentSize: segmentSize)
    }

    /// The number of the path's last segment that is there, if it lies behind `number`.
    func lastSegment(in archived: SegmentSet, behind number: UInt64) -> UInt64? {
        var end = UInt64.max
        for step in steps.reversed() {
            let begin = step.begin.rawValue / UInt64(archived.segmentSize)
            if begin <= end {
                let runs = archived.runs(of: step.timeline)
                if let run = runs.last(where: { $0.lowerBound <= end }), min(run.upperBound, end) >= begin {
                    let last = min(run.upperBound, end)
                    return last > number ? last : nil
                }
            }
            guard begin > 0 else { return nil }
            end = min(end, begin - 1)
        }
        return nil
    }

    /// Files of older timelines that hold the beginning of segment `number`, with the timeline that leaves each in there,
    /// oldest first. PostgreSQL takes the newest of them when the right file is missing. It never goes back to a timeline
    /// older than the one it reads already (`XLogFileReadAnyTLI`), so what the parent wrote in later segments plays no part.
    func substitutes(_ number: UInt64, segmentSize: UInt32) -> [(name: SegmentName, next: Step)] {
        let (start, right) = (number * UInt64(segmentSize), segment(number, segmentSize: segmentSize).timeline)
        return zip(steps, steps.dropFirst()).prefix { $0.0.timeline != right }.filter { $1.begin.rawValue >= start }
            .map { (SegmentName(timeline: $0.timeline, number: number, segmentSize: segmentSize), $1) }
    }
}
