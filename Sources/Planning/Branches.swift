import Messages
public import WAL

/// One of several timelines that continued after they diverged.
public struct Branch: Hashable, Sendable {
    public var timeline: TimelineID
    /// The last commit on it.
    public var last: TransactionMark?
    /// The newest backup that lies on it and on no other branch.
    public var backup: RestorableBackup?
    /// The timeline from which it branches off, and where; nil for the first one.
    public var parent: TimelineID?
    public var begin: LSN
}

extension Planner {
    func branch(_ path: TimelinePath, _ end: PlacedCommit?, _ backup: RestorableBackup?) -> Branch {
        let parent = path.steps.dropLast().last
        return Branch(
            timeline: path.target, last: end?.mark, backup: backup, parent: parent?.timeline,
            begin: path.steps[path.steps.count - 1].begin)
    }

    /// Plans when the branch is ambiguous: where it makes no difference, or only one branch has the target.
    func plan(among branches: [Branch]) throws -> Plan {
        var plans: [Plan] = []
        var first: PlanRequest?
        var refusals: [PlanRefusal] = []
        for branch in branches {
            let request: PlanRequest = onTimeline(branch.timeline)
            do {
                plans.append(try ask(request))
                first = first ?? request
            } catch let refusal as PlanRefusal { refusals.append(refusal) }
        }
        guard let plan = plans.first else {
            if makesOffers {
                let newest: PlanRequest = onTimeline(branches[branches.count - 1].timeline)
                return try Planner(request: newest, source: source).plan()
            }
            throw refusals[refusals.count - 1]
        }
        let isSame = plans.allSatisfy { plan.endsLike($0) }
        let isDecisive: Bool =
            switch target.point {
            case .xid, .name: plans.count == 1 || isSame
            case .time, .lsn, .immediate, .latest: plans.count == branches.count && isSame
            }
        if isDecisive { return try makesOffers ? Planner(request: first ?? request, source: source).plan() : plan }
        throw undecided(branches)
    }

    /// The refusal that asks for the branch.
    func undecided(_ branches: [Branch]) -> PlanRefusal {
        refusal(
            .severalBranches(branches),
            nearest: branches.compactMap { branch in
                offer(onTimeline(branch.timeline)) { _ in
                    "on timeline \(branch.timeline)"
                        + (branch.last.map { ", last transaction \($0.xid) at \($0.time)" } ?? "")
                }
            })
    }
}

extension Plan {
    /// Whether another plan ends at the same position of the same history.
    func endsLike(_ other: Plan) -> Bool {
        guard end == other.end else { return false }
        let last = LSN(end.rawValue - 1)
        return other.path.contains(path.timeline(at: last), upTo: end)
            && path.contains(other.path.timeline(at: last), upTo: end)
    }
}
