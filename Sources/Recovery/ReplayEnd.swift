import Planning
import WAL

/// Where a recovery ended: a position means nothing without its timeline.
struct ReplayEnd {
    /// Everything before it was replayed.
    let position: LSN
    /// Up to here the history is known that the replayed WAL is a part of. A server that still recovers notes the
    /// timeline with its minimum recovery point only (`UpdateMinRecoveryPoint`, src/backend/access/transam/xlog.c).
    let known: LSN
    let history: TimelineHistory

    /// Whether the plan ends there.
    func isEnd(of plan: Plan) -> Bool {
        LSN.agree(position, plan.end, segmentSize: plan.segmentSize) && isOnPath(of: plan)
    }

    /// Whether the plan's WAL was replayed, and more.
    func isBeyond(_ plan: Plan) -> Bool { position > plan.end && isOnPath(of: plan) }

    private func isOnPath(of plan: Plan) -> Bool {
        let end = min(known, plan.end)
        guard end > .zero else { return true }
        let last = LSN(end.rawValue - 1)
        return history.timeline(at: last) == plan.path.timeline(at: last)
    }
}
