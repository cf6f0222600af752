public import WAL

/// The moments one backup can be taken to along one timeline.
public struct RecoveryWindow: Hashable, Sendable {
    public enum Ending: Hashable, Sendable {
        /// Nothing newer is archived.
        case archiveEnd
        /// The segment is missing, and newer ones are there.
        case missing(SegmentName)
        /// The segment is damaged, unread, or doesn't follow.
        case unusable(SegmentName, String)
    }
    public let backup: BackupSpan
    public let timeline: TimelineID
    /// Whether the log reaches the backup's end; without that the backup is worth nothing.
    public let isConsistent: Bool
    /// From the backup's end…
    public let from: Moment
    /// …to the last transaction; nil when none has ended since.
    public let last: TransactionMark?
    /// Behind the last record that can be replayed.
    public let end: LSN?
    public let segments: Int64
    public let ending: Ending
}

extension Catalog {
    /// Every backup's windows, along each timeline it lies on the history of.
    public func windows(of backups: [BackupSpan]) throws -> [RecoveryWindow] {
        let set = try segments()
        let histories = try histories()
        var windows: [RecoveryWindow] = []
        let timelines = Set(set.timelines + backups.map(\.timeline)).sorted()
        for backup in backups {
            for timeline in timelines {
                let history = histories[timeline] ?? TimelineHistory(timeline)
                guard history.contains(backup.timeline, at: backup.stop) else { continue }
                let window = try window(backup, LogPath(history, segmentSize: set.segmentSize), set)
                // A descendant that can't be reached says no more than its ancestor.
                guard let window, timeline == backup.timeline || window.reaches else { continue }
                windows.append(window.window)
            }
        }
        return windows
    }

    private func window(
        _ backup: BackupSpan, _ path: LogPath, _ set: SegmentSet
    ) throws -> (window: RecoveryWindow, reaches: Bool)? {
        let size = set.segmentSize
        let first = backup.start.rawValue / UInt64(size)
        var pieces = path.continuous(from: first, in: set)
        var ending = RecoveryWindow.Ending.archiveEnd
        let next = pieces.last.map { $0.numbers.upperBound + 1 } ?? first
        let missing = path.name(next)
        if set.runs(of: path.history.timeline).contains(where: { $0.lowerBound > next }) { ending = .missing(missing) }
        if let step = path.steps.first(where: { $0.timeline == missing.timeline }), step.last != nil {
            // The path goes on on a newer timeline, but this one's last segments aren't there.
            ending = set.highest(on: path.history.timeline) == nil ? ending : .missing(missing)
        }
        cut: for (index, piece) in pieces.enumerated() {
            for row in try notable(of: piece.timeline, piece.numbers) where row.state != .read || row.link == .broken {
                let number = row.name.number(segmentSize: size)
                if row.link == .broken, number == first { continue }
                ending = .unusable(row.name, row.problem ?? "It cannot be read.")
                pieces.removeSubrange((index + 1)...)
                if number == piece.numbers.lowerBound {
                    pieces.removeLast()
                } else {
                    pieces[index].numbers = piece.numbers.lowerBound...number - 1
                }
                break cut
            }
        }
        var last: TransactionMark?
        var end: LSN?
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
                backup: backup, timeline: path.history.timeline, isConsistent: end.map { $0 >= backup.stop } ?? false,
                from: backup.stopTime, last: last, end: end,
                segments: pieces.reduce(0) { $0 + Int64($1.numbers.count) }, ending: ending),
            pieces.contains { $0.timeline == path.history.timeline }
        )
    }
}
