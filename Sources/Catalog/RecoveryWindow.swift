public import WAL

/// The times to which one backup can be recovered along one timeline.
public struct RecoveryWindow: Hashable, Sendable {
    public enum Ending: Hashable, Sendable {
        /// The archive has no newer WAL.
        case archiveEnd
        /// The segments are missing, and newer ones exist.
        case missing(LineageGap)
        /// The segment is damaged, unread, or doesn't continue the one before.
        case unusable(WALBreak)
    }
    public let backup: BackupSpan
    public let timeline: TimelineID
    /// Further timelines along whose histories a recovery gets exactly as far, since it ends before their own segments.
    public internal(set) var descendants: [TimelineID] = []
    /// Whether the WAL reaches the backup's end; without that the backup can't be recovered.
    public let isConsistent: Bool
    /// From the backup's end…
    public let from: Moment
    /// …to the last transaction; nil when none has ended since.
    public let last: TransactionMark?
    /// The end of the last record that can be replayed.
    public let end: LSN?
    public let segments: Int64
    public internal(set) var ending: Ending

    public init(
        backup: BackupSpan, timeline: TimelineID, isConsistent: Bool, last: TransactionMark?, end: LSN?,
        segments: Int64, ending: Ending
    ) {
        (self.backup, self.timeline, self.isConsistent, from) = (backup, timeline, isConsistent, backup.stopTime)
        (self.last, self.end, self.segments, self.ending) = (last, end, segments, ending)
    }

    /// Whether the end of a descendant's window tells more of what is missing.
    fileprivate func ends(within other: RecoveryWindow, _ wal: ArchivedWAL) -> Bool {
        if ending == .archiveEnd { return true }
        guard case .missing(let gap) = ending, case .missing(let wider) = other.ending else { return false }
        return wal.isOpen(gap) && wider.includes(gap)
    }

    fileprivate func goes(asFarAs other: RecoveryWindow) -> Bool { end == other.end && segments == other.segments }
}

extension Catalog {
    /// The windows of every backup, along each timeline whose history it lies on.
    ///
    /// - Parameter expired: the segments that were removed on purpose.
    public func windows(of backups: [BackupSpan], expired: SegmentSet? = nil) throws -> [RecoveryWindow] {
        let wal = try archivedWAL(expired: expired, breaks: try breaks(), backups)
        var windows: [RecoveryWindow] = []
        let timelines = Set(wal.segments.timelines + backups.map(\.timeline)).sorted()
        for backup in backups {
            var its: [RecoveryWindow] = []
            for timeline in timelines {
                guard wal.genealogy.history(of: timeline).contains(backup.timeline, at: backup.stop) else { continue }
                let (window, reaches) = try window(backup, wal.genealogy.lineage(of: timeline), wal)
                if timeline == backup.timeline || reaches {
                    its.append(window)
                } else if case .missing = window.ending, let same = its.lastIndex(where: { $0.goes(asFarAs: window) }) {
                    // A descendant that can't be reached only explains why its ancestor's window ends…
                    if its[same].ends(within: window, wal) { its[same].ending = window.ending }
                    its[same].descendants.append(timeline)
                } else if case .missing = window.ending, !its.contains(where: { $0.ending == window.ending }) {
                    // …unless the ancestor itself continues.
                    its.append(window)
                }
            }
            // Its own timeline may have been left before its last segment was full; another one's file completed it.
            if its.contains(where: \.isConsistent) {
                its.removeAll { !$0.isConsistent && $0.timeline == backup.timeline && $0.ending == .archiveEnd }
            }
            windows += its
        }
        return windows
    }

    private func window(
        _ backup: BackupSpan, _ lineage: Lineage, _ wal: ArchivedWAL
    ) throws -> (window: RecoveryWindow, reaches: Bool) {
        let size = lineage.segmentSize
        let reach = wal.reach(from: backup.start, on: lineage)
        let pieces = reach.pieces
        let ending =
            reach.stop.map { RecoveryWindow.Ending.unusable($0) }
            ?? reach.gap.map { RecoveryWindow.Ending.missing($0) } ?? .archiveEnd
        // Where it ends in a timeline's first segment, the one before has the beginning of it.
        let beyond =
            reach.stop == nil && !pieces.isEmpty
            ? try substitute(for: reach.end.rawValue / UInt64(size), on: lineage, wal.segments) : nil
        var last = beyond?.lastCommit
        var end = beyond?.end
        for piece in pieces.reversed() where last == nil {
            if end == nil {
                end = try segment(
                    SegmentName(timeline: piece.timeline, number: piece.numbers.upperBound, segmentSize: size))?.end
            }
            last = try nearestWithCommits(of: piece.timeline, piece.numbers, fromEnd: true)?.lastCommit
        }
        if let mark = last, mark.lsn < backup.start { last = nil }
        return (
            RecoveryWindow(
                backup: backup, timeline: lineage.timeline, isConsistent: end.map { $0 >= backup.stop } ?? false,
                last: last, end: end,
                segments: pieces.reduce(0) { $0 + Int64($1.numbers.count) }, ending: ending),
            pieces.contains { $0.timeline == lineage.timeline }
        )
    }
}
