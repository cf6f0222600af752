public import WAL

/// Where a cluster is, or was when its server died: the WAL it wrote or replayed goes at least this far.
public struct KnownPlace: Hashable, Sendable {
    public var timeline: TimelineID
    public var position: LSN
    /// A server that takes writes can't be anywhere else; one that doesn't may yet follow a newer timeline that branches
    /// off later.
    public var takesWrites: Bool
    /// The timeline's history as the server has it, which the archive may not have yet.
    public var history: TimelineHistory?
    /// Who says so, as the beginning of a sentence: `The server in "/srv/pg" is`.
    public var witness: String

    public init(
        timeline: TimelineID, position: LSN, takesWrites: Bool, history: TimelineHistory? = nil, witness: String
    ) {
        (self.timeline, self.position, self.takesWrites) = (timeline, position, takesWrites)
        (self.history, self.witness) = (history, witness)
    }

    /// Whether the cluster may be on this path, or may come onto it.
    func mayFollow(_ path: TimelinePath) -> Bool {
        takesWrites ? path.target == timeline : path.contains(timeline, upTo: position)
    }
}

/// One of several timelines that went on after they had parted.
public struct Branch: Hashable, Sendable {
    public var timeline: TimelineID
    /// The last commit on it.
    public var last: TransactionMark?
    /// The timeline it left, and where; nil for the first one.
    public var parent: TimelineID?
    public var begin: LSN
}

extension Planner {
    /// A history that the target may lie on: its backups, oldest first, each with the path it is recovered along.
    struct History {
        /// Nil when each backup has its own.
        var timeline: TimelineID?
        /// At least one.
        var candidates: [Candidate]
        /// What there is to know about the choice, as sentences.
        var remarks: [String] = []
    }

    enum Choice {
        case history(History)
        /// Nothing tells which of them is meant.
        case branches([Branch])
    }

    /// The history that the target's timeline means.
    /// - Throws: `PlanRefusal` when no backup lies on it.
    func choice() throws -> Choice {
        switch target.timeline {
        case .number(let timeline): return .history(try history(of: timeline))
        case .current:
            return .history(
                History(candidates: backups.compactMap { backup in path(to: backup.timeline).map { (backup, $0) } }))
        case .own: return try own()
        case .latest: return .history(try newest(timelines().compactMap(path(to:))))
        }
    }

    private func history(of timeline: TimelineID, remarks: [String] = []) throws -> History {
        guard let path = path(to: timeline) else {
            let children = histories.values.filter { $0.includes(timeline) }.map(\.timeline).sorted()
            throw refusal(
                .unknownTimeline(timeline, known: timelines(), descendants: children),
                nearest: offers(children.map { onTimeline($0) }))
        }
        let found = onPath(path)
        guard !found.isEmpty else {
            throw refusal(
                .notAnAncestor(timeline, backups: timelinesWithBackups()), nearest: otherTimelines(path))
        }
        return History(timeline: timeline, candidates: found, remarks: remarks)
    }

    /// The timeline the cluster is known to be on, or else the one that holds every commit of the archive. Two that each
    /// hold commits of their own are branches: then only backups can tell which of them is the cluster's.
    private func own() throws -> Choice {
        let all = timelines().compactMap(path(to:))
        guard !all.isEmpty else { throw refusal(.noBackup) }
        var paths = all
        if let known = request.known {
            let own = all.filter(known.mayFollow)
            if !own.isEmpty { paths = own }
        }
        let isKnown = paths.count < all.count || request.known?.takesWrites == true
        let ends = Dictionary(uniqueKeysWithValues: try paths.map { ($0.target, try lastCommit(on: $0)) })
        func holdsAll(_ path: TimelinePath) -> Bool { ends.values.allSatisfy { $0.map(path.holds) ?? true } }
        let chosen: TimelinePath
        if let whole = paths.last(where: { holdsAll($0) && !onPath($0).isEmpty }) ?? paths.last(where: holdsAll) {
            chosen = whole
        } else {
            // A timeline whose commits are all on another one is no branch.
            let tips = paths.filter { path in
                guard let end = ends[path.target] ?? nil else { return false }
                return !paths.contains { $0.target != path.target && $0.holds(end) }
            }
            // Backups are taken of the cluster, not of a copy that archives by mistake.
            let backedUp = tips.filter { tip in
                onPath(tip).contains { backup, _ in
                    tips.allSatisfy { $0.target == tip.target || !$0.contains(backup.timeline, upTo: backup.stop) }
                }
            }
            guard backedUp.count == 1 || tips.isEmpty else {
                return .branches(tips.map { branch($0, ends[$0.target] ?? nil) })
            }
            let best = backedUp.first ?? paths[paths.count - 1]
            let end = ends[best.target] ?? nil
            chosen = paths.last { path in end.map(path.holds) ?? false } ?? best
        }
        let remarks = try remarks(about: all, besides: chosen, isKnown: isKnown)
        if isKnown { return .history(try history(of: chosen.target, remarks: remarks)) }
        return .history(try newest(all + [chosen], remarks: remarks))
    }

    /// The last of these paths with a backup: a timeline of which there is none leads nowhere.
    private func newest(_ paths: [TimelinePath], remarks: [String] = []) throws -> History {
        for path in paths.reversed() {
            let found = onPath(path)
            if !found.isEmpty { return History(timeline: path.target, candidates: found, remarks: remarks) }
        }
        throw refusal(.notAnAncestor(paths.last?.target ?? TimelineID(1), backups: timelinesWithBackups()))
    }

    /// The last commit in the files of the path's newest timeline that isn't its parent's; nil when there is none.
    func lastCommit(on path: TimelinePath) throws -> PlacedCommit? {
        let (timeline, begin) = (path.target, path.steps[path.steps.count - 1].begin)
        let first = begin.rawValue / UInt64(source.segmentSize)
        for run in archived.runs(of: timeline).reversed() where run.upperBound >= first {
            let segments = LogSegments(
                TimelinePath(alone: timeline), first: run.lowerBound, count: run.count, segmentSize: source.segmentSize)
            if let mark = try source.lastCommit(of: segments, from: begin) {
                return PlacedCommit(timeline: timeline, mark: mark)
            }
        }
        return nil
    }

    private func branch(_ path: TimelinePath, _ end: PlacedCommit?) -> Branch {
        let parent = path.steps.dropLast().last
        return Branch(
            timeline: path.target, last: end?.mark, parent: parent?.timeline,
            begin: path.steps[path.steps.count - 1].begin)
    }

    /// What other timelines hold that the chosen one doesn't, where the newest timeline might have been thought to be meant.
    private func remarks(
        about all: [TimelinePath], besides chosen: TimelinePath, isKnown: Bool
    ) throws -> [String] {
        try all.compactMap { path in
            // What was left for the chosen timeline is past: the cluster has been there.
            if case .time = target.point, chosen.steps.contains(where: { $0.timeline == path.target }) { return nil }
            guard path.target > chosen.target || (!isKnown && path.target != chosen.target),
                let end = try lastCommit(on: path), !chosen.holds(end)
            else { return nil }
            let why = isKnown ? request.known.map { "\($0.witness) on timeline \($0.timeline)" } : nil
            let (parting, at) = chosen.parting(from: path)
            return "Timeline \(path.target) is not followed: it parts from this history at LSN \(at) of timeline "
                + "\(parting), and its last transaction is \(end.mark.xid), \(end.mark.time). "
                + (why ?? "Backups were taken on timeline \(chosen.target)")
                + ". To follow the other: --target-timeline "
                + "\(path.target)."
                + (request.known?.takesWrites == true
                    ? " To have it in nobody's way: tidemark segments put-aside \(path.target.fileNamePart).history."
                    : "")
        }
    }

    /// Nothing tells which branch is meant: where it doesn't matter, or only one of them knows the target, that is planned.
    func plan(among branches: [Branch]) throws -> Plan {
        var plans: [Plan] = []
        var refusals: [PlanRefusal] = []
        for branch in branches {
            do { plans.append(try ask(onTimeline(branch.timeline))) } catch let refusal as PlanRefusal {
                refusals.append(refusal)
            }
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
        if isDecisive { return plan }
        throw undecided(branches)
    }

    /// The refusal that asks which branch is meant.
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

/// A commit and the timeline whose files hold it.
struct PlacedCommit: Hashable {
    let timeline: TimelineID
    let mark: TransactionMark
}

extension TimelinePath {
    func holds(_ commit: PlacedCommit) -> Bool { contains(commit.timeline, upTo: commit.mark.end) }

    /// The last timeline and position that both paths pass through.
    func parting(from other: TimelinePath) -> (timeline: TimelineID, LSN) {
        var found = (timeline: steps[0].timeline, LSN.zero)
        for (mine, its) in zip(steps, other.steps) {
            guard mine.timeline == its.timeline else { break }
            switch (mine.end, its.end) {
            case (let a?, let b?): found = (mine.timeline, min(a, b))
            case (let end?, nil), (nil, let end?): found = (mine.timeline, end)
            case (nil, nil): break
            }
            if mine.end != its.end { break }
        }
        return found
    }
}

extension Plan {
    /// Whether another plan ends at the same place of the same history.
    func endsLike(_ other: Plan) -> Bool {
        guard end == other.end else { return false }
        let last = LSN(end.rawValue - 1)
        return other.path.contains(path.timeline(at: last), upTo: end)
            && path.contains(other.path.timeline(at: last), upTo: end)
    }
}
