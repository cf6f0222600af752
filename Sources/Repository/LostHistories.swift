public import Platform
public import WAL

/// A timeline that has a parent, as its first segment tells, but whose history file isn't in the archive: nothing leads
/// from backups of its ancestors to it.
public struct LostHistory: Explained, Hashable {
    public let timeline: TimelineID
    public let parent: TimelineID

    public var message: String { "timeline history file \"\(timeline.fileNamePart).history\" is missing" }
    public var detail: String? {
        "Timeline \(timeline) began on timeline \(parent), as its first segment tells; without the file no backup from "
            + "before leads to it."
    }
    public var hint: String? {
        "Archive it again from the pg_wal of a server that has been on timeline \(timeline), or take a backup on it."
    }
}

extension ObjectStore {
    /// Timelines of which the first segment was copied from their parent's, but without history.
    ///
    /// - Parameter known: those whose history is there.
    public func lostHistories(
        of incarnation: Incarnation, among segments: SegmentSet, known: Set<TimelineID>
    ) -> [LostHistory] {
        segments.timelines.compactMap { timeline in
            guard timeline.rawValue > 1, !known.contains(timeline), let run = segments.runs(of: timeline).first else {
                return nil
            }
            let first = SegmentName(timeline: timeline, number: run.lowerBound, segmentSize: segments.segmentSize)
            // What can't be read is told elsewhere.
            guard let parent = try? stored(first, of: incarnation).summary()?.firstTimeline, parent < timeline else {
                return nil
            }
            return LostHistory(timeline: timeline, parent: parent)
        }
    }
}
