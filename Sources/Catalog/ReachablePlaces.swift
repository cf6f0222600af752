public import WAL

/// Why a position in the WAL can't be recovered to.
public enum PlaceObstacle: Hashable, Sendable {
    /// Every backup of its history ended later.
    case noBackupBefore
    /// WAL after the last backup before it is missing.
    case missing(LineageGap)
    case unusable(WALBreak)

    /// Without an initial capital letter and a full stop.
    public var sentence: String {
        switch self {
        case .noBackupBefore: "no backup of its history ended before it"
        case .missing(let gap): gap.sentence
        case .unusable(let found): found.sentence
        }
    }
}

/// Finds out whether a recovery can reach a position in the WAL.
public struct ReachablePlaces {
    private let wal: ArchivedWAL
    private let backups: [BackupSpan]
    /// The timelines without descendants.
    private let tips: [TimelineID]

    /// - Parameter expired: the segments that were removed on purpose.
    public init(_ catalog: Catalog, backups: [BackupSpan], expired: SegmentSet? = nil) throws {
        let wal = try catalog.archivedWAL(expired: expired, breaks: try catalog.breaks(), backups)
        let timelines = wal.segments.timelines
        tips = timelines.filter { timeline in
            !timelines.contains { $0 != timeline && wal.genealogy.history(of: $0).includes(timeline) }
        }
        (self.wal, self.backups) = (wal, backups)
    }

    /// The timeline to follow to a position that was written on `timeline`; nil when all lead there.
    ///
    /// - Throws: `Unreached`.
    public func timeline(to position: LSN, on timeline: TimelineID) throws(Unreached) -> TimelineID? {
        let through = tips.filter { wal.genealogy.history(of: $0).contains(timeline, at: position) }
        var first: PlaceObstacle?
        for candidate in through.reversed() + [timeline] {
            guard let obstacle = obstacle(to: position, along: wal.genealogy.lineage(of: candidate)) else {
                return through.count == tips.count ? nil : candidate
            }
            first = first ?? obstacle
        }
        throw Unreached(obstacle: first ?? .noBackupBefore)
    }

    public struct Unreached: Error { public let obstacle: PlaceObstacle }

    private func obstacle(to position: LSN, along lineage: Lineage) -> PlaceObstacle? {
        let history = wal.genealogy.history(of: lineage.timeline)
        let reaches = backups.filter { $0.stop <= position && history.contains($0.timeline, at: $0.stop) }
            .map { wal.reach(from: $0.start, on: lineage) }
        guard let furthest = reaches.max(by: { $0.end < $1.end }) else { return .noBackupBefore }
        if furthest.end > position, !furthest.pieces.isEmpty { return nil }
        if let stop = furthest.stop { return .unusable(stop) }
        let rest = furthest.end.rawValue / UInt64(lineage.segmentSize)
        let number = position.rawValue / UInt64(lineage.segmentSize)
        return (furthest.gap ?? lineage.gaps(min(rest, number)...number, in: wal.segments).first).map { .missing($0) }
    }
}
