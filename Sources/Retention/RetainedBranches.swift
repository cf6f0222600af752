public import WAL

/// The branches of a cluster's WAL, and which of them are living: a server may be on them.
public struct RetainedBranches: Sendable {
    /// The newest branch, and each that had commits within a week and isn't merely the ancestor of others. An older one
    /// counts as abandoned.
    public private(set) var living: [RetainedTimeline] = []
    /// The last switch point at which another timeline branches off, by timeline.
    private var partings: [TimelineID: LSN] = [:]
    private let newest: TimelineID?
    private let now: Moment

    /// - Parameter timelines: in order.
    public init(_ timelines: [RetainedTimeline], now: Moment) {
        (newest, self.now) = (timelines.last?.history.timeline, now)
        for ancestor in timelines.lazy.flatMap(\.history.ancestors) {
            partings[ancestor.timeline] = max(partings[ancestor.timeline] ?? .zero, ancestor.switchPoint)
        }
        living = timelines.filter { branch in
            guard isRecent(branch) else { return false }
            guard let parting = lastParting(from: branch.history.timeline) else { return true }
            return branch.end.map { $0 > parting } ?? false
        }
    }

    /// Whether a timeline is the newest one, or had commits within a week.
    func isRecent(_ branch: RetainedTimeline) -> Bool {
        let week: Int64 = 7 * 86_400_000_000
        return branch.history.timeline == newest
            || (branch.lastCommit ?? now) >= Moment(microseconds: now.microseconds - week)
    }

    /// The last switch point at which another timeline branches off; nil when there is none.
    func lastParting(from timeline: TimelineID) -> LSN? { partings[timeline] }

    func isLiving(_ timeline: TimelineID) -> Bool { living.contains { $0.history.timeline == timeline } }
}

extension TimelineHistory {
    /// Whether a recovery along this history can begin with a backup that ended at `stop` on `timeline`.
    public func canBegin(withBackupOn timeline: TimelineID, stop: LSN) -> Bool {
        if timeline == self.timeline { return true }
        guard let point = switchPoint(from: timeline) else { return false }
        return stop <= point
    }
}
