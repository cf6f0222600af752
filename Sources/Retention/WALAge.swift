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
/// A commit tells the age of what comes before it on its history, and nothing of what follows. So on every history the
/// segment with the last commit known to be old is not known to be old as a whole. One that was archived before
/// `moment` is, whatever is in it: nobody would ever know the age of a timeline that ended without commits otherwise.
///
/// - Parameters:
///   - segments: of all timelines, in any order.
///   - histories: those of the timelines.
///   - age: asked from the oldest segment of a history on, until one isn't old.
///   - archived: when a segment was; nil when nobody knows.
/// - Returns: nil when there are no segments.
public func firstWAL(
    since moment: Moment, _ segments: [SegmentName], histories: [TimelineHistory], segmentSize: UInt32,
    age: (SegmentName) -> SegmentAge, archived: (SegmentName) -> Moment? = { _ in nil }
) -> LSN? {
    let timelines = Dictionary(grouping: segments, by: \.timeline)
    let newest = timelines.keys.max()
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
        var isArchivedLongAgo = false
        for (start, name) in ordered {
            let told = known[name] ?? age(name)
            known[name] = told
            isArchivedLongAgo = archived(name).map { $0 < moment } ?? false
            switch told {
            case .noCommit where isArchivedLongAgo, .unreadable where isArchivedLongAgo:
                (lastOld, isOldToItsEnd) = (start, true)
            case .noCommit: isOldToItsEnd = false
            case .commit(let time) where time < moment: (lastOld, isOldToItsEnd) = (start, true)
            case .commit, .unreadable: return lastOld
            }
        }
        // Nobody goes on with what was left, nor with a branch of which nothing has come for so long. The newest one's
        // end is where the next WAL comes.
        let isOver = isOldToItsEnd && switchPoint != nil || isArchivedLongAgo && timeline != newest
        return isOver ? nil : lastOld
    }.min()
}
