/// The histories of an archive's timelines, and what follows from them for the files of any timeline.
public struct Genealogy: Sendable {
    public let segmentSize: UInt32
    /// The known ones, by timeline.
    public let histories: [TimelineID: TimelineHistory]

    public init(_ histories: [TimelineID: TimelineHistory], segmentSize: UInt32) {
        (self.histories, self.segmentSize) = (histories, segmentSize)
    }

    /// A timeline whose history is not known counts as one without ancestors, as in PostgreSQL (`readTimeLineHistory`,
    /// src/backend/access/transam/timeline.c).
    public func history(of timeline: TimelineID) -> TimelineHistory {
        histories[timeline] ?? TimelineHistory(timeline)
    }

    public func lineage(of timeline: TimelineID) -> Lineage {
        Lineage(history(of: timeline), segmentSize: segmentSize)
    }

    /// The history of a timeline or, when its own is missing, of the first one that descends from it.
    public func lineage(through timeline: TimelineID) -> Lineage {
        guard histories[timeline] == nil else { return lineage(of: timeline) }
        let child = histories.values.filter { $0.includes(timeline) }.map(\.timeline).min()
        return lineage(of: child ?? timeline)
    }

    /// The file whose records a segment continues, on the history of its own timeline.
    ///
    /// - Parameter firstTimeline: the timeline in the segment's first page, if known. It is the parent of a timeline
    ///   whose history is missing: the segment in which the parent was left was copied, including its first page.
    /// - Returns: nil for the very first segment.
    public func predecessor(of name: SegmentName, firstTimeline: TimelineID? = nil) -> SegmentName? {
        if histories[name.timeline] == nil, let firstTimeline, firstTimeline < name.timeline {
            return lineage(of: firstTimeline).file(before: name)
        }
        let lineage = lineage(of: name.timeline)
        // A segment from before its timeline's beginning belongs to another timeline of that number: only its own files
        // precede it.
        return lineage.reads(name) ? lineage.file(before: name) : name.previous(segmentSize: segmentSize)
    }

    /// The files that have the end of what a backup needs, each of them all of it: its own timeline's and, where
    /// another one left that timeline in the same segment, at the backup's end or later, the other one's, which begins
    /// with a copy. Oldest first.
    public func lastFiles(of backup: BackupWAL) -> [SegmentName] {
        let own = backup.last(segmentSize: segmentSize).on(backup.timeline)
        let number = own.number(segmentSize: segmentSize)
        let others = histories.values.filter { $0.contains(backup.timeline, at: backup.stop) }
            .map { lineage(of: $0.timeline).file(number) }
        return [own] + Set(others).subtracting([own]).sorted()
    }

    /// Whether what a timeline wrote into its last segment is there in the next one's first: then nobody misses the
    /// segment.
    func isContinued(_ name: SegmentName, in archived: SegmentSet) -> Bool {
        let number = name.number(segmentSize: segmentSize)
        return archived.timelines.contains { other in
            guard let end = lineage(of: other).end(of: name.timeline) else { return false }
            return end.rawValue / UInt64(segmentSize) == number && archived.contains(lineage(of: other).file(number))
        }
    }
}
