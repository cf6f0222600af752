public import WAL

/// The WAL that `expire` has removed, according to its job records: it is missing on purpose.
public struct ExpiredWAL: Sendable {
    /// The name of the fact in a job's record: runs of segments, `FIRST-LAST`, separated by spaces.
    public static let fact = "removed_wal"

    private struct Run {
        let segments: ClosedRange<SegmentName>
        let removed: Moment
    }
    /// Sorted by their first segment.
    private let runs: [Run]

    /// - Parameter jobs: of one incarnation; all but expiries are ignored.
    public init(_ jobs: [JobRecord]) {
        runs =
            jobs.filter { $0.kind == .expire }.flatMap { job in
                (job.facts[ExpiredWAL.fact] ?? "").split(separator: " ").compactMap { text in
                    let names = text.split(separator: "-").compactMap { SegmentName(String($0)) }
                    guard names.count == 2, names[0].timeline == names[1].timeline, names[0] <= names[1] else {
                        return nil
                    }
                    return Run(segments: names[0]...names[1], removed: job.finished)
                }
            }
            .sorted { $0.segments.lowerBound < $1.segments.lowerBound }
    }

    /// The value of the fact in an expiry's record.
    public static func note(_ runs: [ClosedRange<SegmentName>]) -> String {
        runs.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: " ")
    }

    /// When the last of the segments `first` to `last` of one timeline was removed; nil unless all of them were.
    public func removal(of first: SegmentName, to last: SegmentName, segmentSize: UInt32) -> Moment? {
        var next = first
        var removed: Moment?
        for run in runs where run.segments.lowerBound <= next && next <= run.segments.upperBound {
            removed = removed.map { max($0, run.removed) } ?? run.removed
            if run.segments.upperBound >= last { return removed }
            next = run.segments.upperBound.next(segmentSize: segmentSize)
        }
        return nil
    }

    /// Every segment that was removed.
    public func segments(segmentSize: UInt32) -> SegmentSet {
        var set = SegmentSet(segmentSize: segmentSize)
        for run in runs {
            let (first, last) = (run.segments.lowerBound, run.segments.upperBound)
            set.insert(
                first.number(segmentSize: segmentSize)...last.number(segmentSize: segmentSize), on: first.timeline)
        }
        return set
    }
}
