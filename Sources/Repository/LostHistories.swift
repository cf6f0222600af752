import Platform
public import WAL

extension ClusterArchive {
    /// Timelines whose history file is damaged, or missing although their first segment shows that they began on
    /// another one.
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

    /// The timeline from which the first segment was copied; where the switch point lies on a segment boundary nothing
    /// was copied, and the record with which the timeline begins names it.
    private func parent(of timeline: TimelineID, among segments: SegmentSet) -> TimelineID? {
        guard timeline.rawValue > 1, let run = segments.runs(of: timeline).first,
            // An archive that began on that timeline has nothing from before it.
            segments.timelines.contains(where: { $0 < timeline })
        else { return nil }
        let first = SegmentName(timeline: timeline, number: run.lowerBound, segmentSize: segments.segmentSize)
        // Segments that can't be read are reported elsewhere.
        guard let summary = try? summary(of: first) else { return nil }
        if summary.firstTimeline < timeline { return summary.firstTimeline }
        return summary.facts.timelineSwitches.first { $0.timeline == timeline && $0.previous < timeline }?.previous
    }
}
