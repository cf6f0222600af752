import Platform
public import WAL

extension ClusterArchive {
    /// Timelines whose history file is damaged, or missing although there is WAL of an older timeline: only the first
    /// timeline begins on no other.
    ///
    /// - Parameter known: those whose history is there and can be read.
    public func lostHistories(among segments: SegmentSet, known: Set<TimelineID>) throws -> [LostHistory] {
        let damaged = Set(try histories()).subtracting(known)
        let all = damaged.union(segments.timelines).subtracting(known).sorted()
        return all.compactMap { timeline in
            // An archive that began on that timeline has nothing from before it.
            let isLost = timeline.rawValue > 1 && segments.timelines.contains { $0 < timeline }
            guard isLost || damaged.contains(timeline) else { return nil }
            return LostHistory(
                timeline: timeline, parent: isLost ? parent(of: timeline, among: segments) : nil,
                isDamaged: damaged.contains(timeline))
        }
    }

    /// The timeline from which the first segment was copied; where the switch point lies on a segment boundary nothing
    /// was copied, and the record with which the timeline begins names it. Nil when that segment isn't there.
    private func parent(of timeline: TimelineID, among segments: SegmentSet) -> TimelineID? {
        guard let run = segments.runs(of: timeline).first else { return nil }
        let first = SegmentName(timeline: timeline, number: run.lowerBound, segmentSize: segments.segmentSize)
        // Segments that can't be read are reported elsewhere.
        guard let summary = try? summary(of: first) else { return nil }
        if summary.firstTimeline < timeline { return summary.firstTimeline }
        return summary.facts.timelineSwitches.first { $0.timeline == timeline && $0.previous < timeline }?.previous
    }
}
