public import WAL

/// The WAL that a recovery from one backup can read: all of it up to the first gap.
public struct ReachableWAL: Sendable {
    public let segments: [SegmentName]
    /// Records from here on belong to another history, although they are in the last segment.
    public let limit: LSN?
    /// What keeps a recovery from going further, as the middle of a sentence; nil where the archive ends.
    public let obstacle: String?

    public func holds(_ position: LSN) -> Bool { limit.map { position < $0 } ?? true }
}

/// The WAL that a recovery from the request's backup can read; nil when the backup isn't on the history of its
/// timeline.
/// - Throws: `PlanRefusal` when the timeline is ambiguous; whatever `source` throws.
public func reachableWAL(_ request: PlanRequest, from source: some PlanSource) throws -> ReachableWAL? {
    try Planner(request: request, source: source).reachableWAL()
}

/// The last archived segments of the history of a request's backup that hold what was written before it began, oldest
/// first, 4096 at most; there may be gaps between them. No recovery reads them.
/// - Throws: as `reachableWAL`.
public func earlierWAL(_ request: PlanRequest, from source: some PlanSource) throws -> [SegmentName] {
    try Planner(request: request, source: source).earlierWAL()
}

extension Planner {
    private func candidate() throws -> Candidate? {
        switch try choice() {
        case .branches(let branches): throw undecided(branches)
        case .history(let history): return history.candidates.first { $0.backup.label == request.backup }
        }
    }

    fileprivate func reachableWAL() throws -> ReachableWAL? {
        try candidate().map { candidate in
            let wal = try replayWAL(candidate)
            let obstacle: String? =
                switch wal.ending {
                case .gap(let missing):
                    try wholeGaps(candidate.path, missing[0].numbers).last?.sentence ?? missing[0].sentence
                case .broken(let found): found.sentence
                case .endOfArchive, .notYetArchived: nil
                }
            return ReachableWAL(segments: Array(wal.segments), limit: wal.limit, obstacle: obstacle)
        }
    }

    fileprivate func earlierWAL() throws -> [SegmentName] {
        guard let candidate = try candidate() else { return [] }
        let size = source.segmentSize
        let first = candidate.backup.start.rawValue / UInt64(size)
        let pieces = candidate.path.lineage(segmentSize: size).archived(0...first, in: try source.everySegment())
        return Array(
            pieces.flatMap { piece in
                piece.numbers.suffix(4096).map { SegmentName(timeline: piece.timeline, number: $0, segmentSize: size) }
            }.suffix(4096))
    }
}
