public import Catalog
public import Planning
import Recovery
public import WAL

/// The windows of an archive's backups, and which of them a recovery reaches without naming a timeline, as `plan`
/// decides.
public struct ReachableMoments: Sendable {
    public let windows: [RecoveryWindow]
    /// What a recovery follows when no timeline is named.
    public let followed: FollowedTimelines

    /// - Parameters:
    ///   - expired: the segments that were removed on purpose.
    ///   - catalog: already synchronized.
    init(of backups: [BackupSpan], in archive: RecoveryArchive, expired: SegmentSet, _ catalog: Catalog) throws {
        followed = try archive.followedTimelines(catalog)
        var windows = try catalog.windows(of: backups, expired: expired)
        if let path = followed.path {
            for backup in backups where path.contains(backup.timeline, upTo: backup.stop) {
                guard !windows.contains(where: { $0.backup == backup && $0.leads(to: path.target) }),
                    let window = archive.window(backup, along: path.target, catalog)
                else { continue }
                let place = windows.lastIndex { $0.backup == backup }.map { $0 + 1 } ?? windows.endIndex
                windows.insert(window, at: place)
            }
        }
        self.windows = windows
    }

    /// How far a backup can be recovered.
    public struct End: Sendable {
        public let moment: Moment
        /// The timeline that the recovery must name; nil when it gets there without.
        public let mustName: TimelineID?
    }

    /// The last moment that is reached from a backup without naming a timeline or, when none is, with one. Nil when
    /// none is.
    func end(of backup: BackupSpan) -> End? {
        let ends = windows.filter { $0.backup == backup && $0.isConsistent }
            .map { End(moment: $0.last?.time ?? $0.from, mustName: mustName(for: $0)) }
        let ordinary = ends.filter { $0.mustName == nil }
        return (ordinary.isEmpty ? ends : ordinary).max { $0.moment < $1.moment }
    }

    /// The timeline that a recovery to a window's last moments must name (`--target-timeline`); nil when it reaches
    /// them without.
    public func mustName(for window: RecoveryWindow) -> TimelineID? {
        guard let path = followed.path else { return window.timeline }
        if window.leads(to: path.target) { return nil }
        // The ancestor of a timeline that continues from its end.
        let reached = window.last?.end ?? window.backup.stop
        let goesOn = windows.contains { other in
            other.backup == window.backup && other.leads(to: path.target) && other.isConsistent
                && other.end.map { $0 >= reached } ?? false
        }
        return goesOn && path.contains(window.timeline, upTo: reached) ? nil : window.timeline
    }

    /// The timeline that a recovery must name for a gap to end it; nil when the gap is on the history that it follows
    /// without.
    public func mustName(for gap: WALGap) -> TimelineID? {
        guard let path = followed.path else { return gap.timeline }
        // Where a timeline was left in a segment that it lacks, the next one has a file of its own.
        let isRead =
            gap.missing.map { missing in
                let lineage = path.lineage(segmentSize: missing.segmentSize)
                return missing.ranges.contains { lineage.reads($0.first) }
            } ?? path.contains(gap.timeline, upTo: gap.from)
        return isRead ? nil : gap.timeline
    }
}

extension RecoveryWindow {
    fileprivate func leads(to timeline: TimelineID) -> Bool {
        self.timeline == timeline || descendants.contains(timeline)
    }
}

extension RecoveryArchive {
    /// The window along a timeline of which no segment is archived yet: of its parent's last segment, which the plan
    /// reads instead, only a part is on its history. Nil when nothing can be recovered to along it.
    fileprivate func window(_ backup: BackupSpan, along timeline: TimelineID, _ catalog: Catalog) -> RecoveryWindow? {
        let request = PlanRequest(RecoveryTarget(.latest, timeline: .number(timeline)), backup: backup.label)
        guard let plan = try? plan(request, usePartials: false, catalog: catalog) else { return nil }
        return RecoveryWindow(
            backup: backup, timeline: timeline, isConsistent: true, last: plan.lastIncluded, end: plan.end,
            segments: Int64(plan.segmentCount), ending: .archiveEnd)
    }
}
