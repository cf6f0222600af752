public import Platform
public import WAL

/// A timeline that has a parent, but whose history file isn't in the archive, or is damaged there: nothing leads from
/// backups of its ancestors to it.
public struct LostHistory: Explained, Hashable {
    public let timeline: TimelineID
    /// As its first segment tells; nil when only the damaged file is left.
    public let parent: TimelineID?
    /// The file is there. PostgreSQL asks for it whenever a recovery to an older timeline starts or ends, and can't go on.
    public let isDamaged: Bool

    public init(timeline: TimelineID, parent: TimelineID?, isDamaged: Bool) {
        (self.timeline, self.parent, self.isDamaged) = (timeline, parent, isDamaged)
    }

    public var message: String { LostHistory.message(timeline, isDamaged: isDamaged) }

    /// `timeline history file "00000002.history" is missing`
    public static func message(_ timeline: TimelineID, isDamaged: Bool) -> String {
        "timeline history file \"\(timeline.fileNamePart).history\" is \(isDamaged ? "damaged" : "missing")"
    }

    public var detail: String? {
        guard let parent else { return "Without it no backup from before leads to timeline \(timeline)." }
        return "Timeline \(timeline) began on timeline \(parent), as its first segment tells; without the file no "
            + "backup from before leads to it."
    }
    public var hint: String? {
        "Archive it again from the pg_wal of a server that has been on timeline \(timeline)"
            + (isDamaged ? "" : ", or take a backup on it")
            + "; if nobody is on it, run \"tidemark segments put-aside \(timeline.fileNamePart).history\"."
    }
}

extension ClusterArchive {
    /// Timelines whose history file is damaged, and those without one that began on another, as their first segment tells.
    ///
    /// - Parameter known: those whose history is there and can be read.
    public func lostHistories(among segments: SegmentSet, known: Set<TimelineID>) throws -> [LostHistory] {
        let damaged = Set(try histories()).subtracting(known)
        let all = damaged.union(segments.timelines).subtracting(known).sorted()
        return all.compactMap { timeline in
            let parent = parent(of: timeline, among: segments)
            guard parent != nil || damaged.contains(timeline) else { return nil }
            return LostHistory(timeline: timeline, parent: parent, isDamaged: damaged.contains(timeline))
        }
    }

    /// The timeline from which the first segment was copied; where the switch point lies on a segment's border nothing was,
    /// and the record with which the timeline begins tells it.
    private func parent(of timeline: TimelineID, among segments: SegmentSet) -> TimelineID? {
        guard timeline.rawValue > 1, let run = segments.runs(of: timeline).first,
            // Of an archive that began on that timeline nothing is from before.
            segments.timelines.contains(where: { $0 < timeline })
        else { return nil }
        let first = SegmentName(timeline: timeline, number: run.lowerBound, segmentSize: segments.segmentSize)
        // What can't be read is told elsewhere.
        guard let summary = try? summary(of: first) else { return nil }
        if summary.firstTimeline < timeline { return summary.firstTimeline }
        return summary.facts.timelineSwitches.first { $0.timeline == timeline && $0.previous < timeline }?.previous
    }
}
