public import WAL

/// The timelines that a recovery follows when none is named.
public struct FollowedTimelines: Hashable, Sendable {
    /// One. Several when it can't be told which of them is the cluster's, and a recovery to a moment after they diverge
    /// asks; none when every recovery that names no timeline is refused.
    public let timelines: [TimelineID]
    /// The history of the only one.
    public let path: TimelinePath?

    /// The only one.
    public var timeline: TimelineID? { path?.target }

    init(_ timelines: [TimelineID], path: TimelinePath? = nil) { (self.timelines, self.path) = (timelines, path) }
}

/// The timelines that a plan for a request follows.
/// - Throws: whatever `source` throws.
public func followedTimelines(_ request: PlanRequest, from source: some PlanSource) throws -> FollowedTimelines {
    try Planner(request: request, source: source).followed()
}

extension Planner {
    fileprivate func followed() throws -> FollowedTimelines {
        guard !backups.isEmpty else { return FollowedTimelines([]) }
        do {
            switch try choice() {
            case .branches(let branches):
                try refuseLostHistory(among: branches)
                return FollowedTimelines(branches.map(\.timeline))
            case .history(let history):
                try refuseLostHistory(besides: history)
                let path = history.candidates[0].path
                return FollowedTimelines([path.target], path: path)
            }
        } catch is PlanRefusal { return FollowedTimelines([]) }
    }
}
