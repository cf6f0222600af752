public import WAL

/// The age of an archived segment.
public enum SegmentAge: Sendable, Equatable {
    /// The time of the last commit in it.
    case commit(Moment)
    /// It holds no commit, so its age isn't known.
    case noCommit
    /// It can't be read.
    case unreadable
}

/// Where the first archived WAL begins that isn't known to be older than `moment`, on any timeline.
///
/// A commit shows the age of the WAL before it on its history, not of what follows. So on every history, the segment
/// with the last old commit doesn't count as old as a whole.
///
/// - Parameters:
///   - segments: of all timelines, in any order.
///   - histories: those of the timelines.
///   - age: called from the oldest segment of a history on, until one isn't old.
/// - Returns: nil when there are no segments.
public func firstWAL(
    since moment: Moment, _ segments: [SegmentName], histories: [TimelineHistory], segmentSize: UInt32,
    age: (SegmentName) -> SegmentAge
) -> LSN? {
    let timelines = Dictionary(grouping: segments, by: \.timeline)
    var known: [SegmentName: SegmentAge] = [:]
    var switchPoints: [TimelineID: LSN] = [:]
    for history in histories where timelines[history.timeline] != nil {
        for ancestor in history.ancestors {
            switchPoints[ancestor.timeline] = max(switchPoints[ancestor.timeline] ?? .zero, ancestor.switchPoint)
        }
    }
    return timelines.compactMap { timeline, own -> LSN? in
        let switchPoint = switchPoints[timeline]
        // A timeline that was left, and has nothing beyond that, is part of the histories that branch off from it.
        if let switchPoint, own.allSatisfy({ $0.start(segmentSize: segmentSize) < switchPoint }) { return nil }
        let ancestors = histories.first { $0.timeline == timeline }?.ancestors ?? []
        let history =
            own
            + ancestors.flatMap { ancestor in
                (timelines[ancestor.timeline] ?? []).filter {
                    $0.start(segmentSize: segmentSize) < ancestor.switchPoint
                }
            }
        let ordered = history.map { (start: $0.start(segmentSize: segmentSize), name: $0) }
            .sorted { ($0.start, $0.name.timeline) < ($1.start, $1.name.timeline) }
        var lastOld = ordered.first?.start
        var isOldToItsEnd = false
        for (start, name) in ordered {
            let told = known[name] ?? age(name)
            known[name] = told
            switch told {
            case .noCommit: isOldToItsEnd = false
            case .commit(let time) where time < moment: (lastOld, isOldToItsEnd) = (start, true)
            case .commit, .unreadable: return lastOld
            }
        }
        // No WAL continues a timeline that was left.
        return switchPoint != nil && isOldToItsEnd ? nil : lastOld
    }.min()
}
