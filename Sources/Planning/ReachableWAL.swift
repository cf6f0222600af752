public import WAL

/// The WAL that a recovery from one backup can read: all of it up to the first gap.
public struct ReachableWAL: Sendable {
    public let segments: [SegmentName]
    /// Records from here on belong to another history, although they are in the last segment.
    public let limit: LSN?

    public func holds(_ position: LSN) -> Bool { limit.map { position < $0 } ?? true }
}

/// The WAL that a recovery from the request's backup can read; nil when the backup isn't on the history of its
/// timeline.
/// - Throws: `PlanRefusal` when the timeline is ambiguous; whatever `source` throws.
public func reachableWAL(_ request: PlanRequest, from source: some PlanSource) throws -> ReachableWAL? {
    try Planner(request: request, source: source).reachableWAL()
}

extension Planner {
    fileprivate func reachableWAL() throws -> ReachableWAL? {
        switch try choice() {
        case .branches(let branches): throw undecided(branches)
        case .history(let history):
            return try history.candidates.first { $0.backup.label == request.backup }.map { candidate in
                let wal = try replayWAL(candidate)
                return ReachableWAL(segments: Array(wal.segments), limit: wal.limit)
            }
        }
    }
}
