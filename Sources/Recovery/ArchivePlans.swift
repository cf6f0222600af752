import Archiving
import Backups
public import Catalog
public import Planning
import Platform
import Repository
import WAL

/// Plans for a cluster's archive, and what to offer instead.
extension RecoveryArchive {
    /// Plans a recovery in the place of the cluster's own dead server, before what it left in pg_wal is archived.
    ///
    /// Where the archive has another server's WAL under the names of that server's, only what comes before can be
    /// reached.
    /// - Throws: as `plan`; `NotRescued` and `Contradiction` as well.
    public func planInPlace(_ request: PlanRequest, usePartials: Bool, catalog: Catalog? = nil) throws -> Plan {
        if let blocked = own?.blocked { throw blocked }
        if let contradiction = own?.contradiction { return try plan(request, before: contradiction, catalog) }
        if let problem = own?.contradictionProblem, let own {
            throw ContradictionUnknown(dataDirectory: own.path, cause: problem)
        }
        guard let own, !own.waiting.isEmpty else {
            return try plan(request, usePartials: usePartials, offersPartials: true, catalog: catalog)
        }
        // The recovery will archive the last one as .partial, and use that.
        var plan = try plan(
            request, usePartials: usePartials || own.waiting.hasLast, offersPartials: true, waiting: own.waiting)
        plan.waiting = own.waiting.segments.keys.filter { name in
            plan.segments.contains { $0.first.timeline == name.timeline && $0.first <= name && name <= $0.last }
        }.sorted()
        return plan
    }

    /// - Throws: `contradiction` when the target isn't reached before it.
    private func plan(
        _ request: PlanRequest, before contradiction: Contradiction, _ catalog: Catalog?
    ) throws -> Plan {
        var earlier = self
        earlier.restorable.removeAll { $0.stop > contradiction.position }
        do {
            let plan = try earlier.plan(request, usePartials: false, catalog: catalog)
            if plan.end <= contradiction.position { return plan }
        } catch is PlanRefusal {}
        throw contradiction
    }

    /// A refusal that says which archive it is about, where the repository has several of the cluster, what of a gap
    /// was put aside, and what could not be looked for in a dead server's pg_wal.
    public func told(_ refusal: PlanRefusal) -> PlanRefusal {
        var remarks = refusal.remarks
        switch refusal.reason {
        case .afterLast, .gap, .unknownRestorePoint, .unknownTransaction, .timelineNotArchived:
            remarks += own?.unreadWaiting ?? []
        default: break
        }
        if case .gap(let missing) = refusal.reason,
            let name = missing.lazy.compactMap({
                try? contents.putBack($0, dataDirectory: dataDirectory)
            }).first
        {
            remarks.append(
                "It was put aside, all or some of it: \"\(runnable("tidemark segments put-back \(name)"))\" brings it back."
            )
        } else if former == nil, let remark = atServer(refusal.reason) {
            remarks.append(remark)
        }
        if case .noBackup = refusal.reason, let one = backups.aside.last {
            remarks.append(one.sentence)
        }
        if let former { remarks.append(former) }
        var reason = refusal.reason
        if case .historyNotArchived(let timeline, let directory, _) = reason {
            let name = ArchiveFileName.history(timeline).description
            let isAside = (try? contents.asideFolders().contains { $0.subject == name }) ?? false
            reason = .historyNotArchived(timeline, in: directory, isAside: isAside)
        }
        return PlanRefusal(refusal.target, reason, nearest: refusal.nearest, remarks: remarks)
    }

    /// The plan for a request, as an alternative to offer; nil when there is none.
    public func offer(_ request: PlanRequest, _ meaning: (Plan) -> String) -> PlanRefusal.Alternative? {
        .proven(
            aware(request), by: { try plan($0, usePartials: extent.usesPartials, waiting: extent.waiting) }, meaning)
    }

    /// The timelines that a recovery follows when none is named.
    /// - Parameter catalog: already synchronized.
    public func followedTimelines(_ catalog: Catalog) throws -> FollowedTimelines {
        try Planning.followedTimelines(
            aware(PlanRequest(RecoveryTarget(.latest))),
            from: CatalogPlanSource(catalog, planSource(usePartials: false)))
    }

    /// The request, completed with what is known of the cluster.
    public func aware(_ request: PlanRequest) -> PlanRequest {
        var request = request
        request.known = request.known ?? own?.place
        if former != nil { request.incarnation = contents.incarnation.folderName }
        return request
    }

    /// Plans; reports where the incomplete last segment of a timeline would lead further.
    /// - Throws: `PlanRefusal`, and what reading throws.
    /// - Parameters:
    ///   - offersPartials: whether to report incomplete segments that lead further.
    ///   - command: the command that replays them (`--use-partial`), where the caller's own doesn't.
    ///   - waiting: WAL that isn't archived yet, and will be.
    ///   - catalog: already synchronized; with it the cost of a plan doesn't depend on the size of the archive.
    public func plan(
        _ request: PlanRequest, usePartials: Bool, offersPartials: Bool = false, partialsBy command: String? = nil,
        waiting: WaitingWAL = WaitingWAL(), catalog: Catalog? = nil
    ) throws -> Plan {
        let request = aware(request)
        let withPartials = planSource(usePartials: true, waiting: waiting)
        if usePartials { return try Planning.plan(request, from: withPartials) }
        do {
            let source = planSource(usePartials: false, waiting: waiting)
            var plan =
                if let catalog {
                    try Planning.plan(request, from: CatalogPlanSource(catalog, source))
                } else {
                    try Planning.plan(request, from: source)
                }
            if offersPartials, request.target.point == .latest,
                let further = try plan.further(request, in: self, withPartials, by: command)
            {
                plan.offers.append(further)
                plan.warnings.append(further.meaning)
            }
            return plan
        } catch let refusal as PlanRefusal {
            guard offersPartials else { throw refusal }
            if case .severalBranches = refusal.reason, request.target.point == .latest,
                let furthest = try furthestPartial(request, withPartials)
            {
                throw refusal.adding(furthest, by: command)
            }
            // The segment in which a timeline was left may be there as .partial, and its successor's first one be lost.
            if case .gap(let missing) = refusal.reason, let furthest = try furthestPartial(request, withPartials),
                furthest.end > missing[0].from
            {
                throw refusal.adding(furthest, by: command)
            }
            let mayLead =
                switch refusal.reason {
                case .afterLast, .unknownRestorePoint, .unknownTransaction: true
                default: false
                }
            guard mayLead,
                let further = PlanRefusal.Alternative.withPartials(
                    request, withPartials, { _ in "with the incomplete last segment of the timeline" })
            else { throw refusal }
            throw refusal.adding(further, by: command)
        }
    }

    /// When the timeline is ambiguous, a timeline with an incomplete segment may lead further than all others.
    private func furthestPartial(
        _ request: PlanRequest, _ source: ArchivePlanSource
    ) throws -> PlanRefusal.Alternative? {
        _ = try source.segments()
        return Set(source.partials().map(\.timeline)).sorted().compactMap { timeline in
            var other = request
            other.target.timeline = .number(timeline)
            return .withPartials(other, source) { plan in
                guard !plan.partials.isEmpty else { return nil }
                return "on timeline \(plan.history), with its incomplete last segment"
                    + (plan.lastIncluded.map { ", last transaction \($0.xid) at \($0.time)" } ?? "")
            }
        }.max { $0.end < $1.end }
    }
}

extension Plan {
    /// The alternative that reaches furthest by replaying an incomplete segment (`.partial`) where this plan's WAL
    /// ends.
    ///
    /// It may have to name the incomplete segment's timeline, when nothing is archived yet of the one that branched
    /// off. Only an alternative that includes all of this plan's WAL is offered.
    fileprivate func further(
        _ request: PlanRequest, in archive: RecoveryArchive, _ source: ArchivePlanSource, by command: String?
    ) throws -> PlanRefusal.Alternative? {
        guard let last = segments.last?.last.number(segmentSize: segmentSize) else { return nil }
        let partial = try archive.contents.timelines().filter { timeline in
            try [last, last + 1].contains { number in
                let name = SegmentName(timeline: timeline, number: number, segmentSize: segmentSize)
                return try archive.contents.has(.partial(name))
            }
        }
        guard !partial.isEmpty else { return nil }
        for timeline in [request.target.timeline] + partial.reversed().map(RecoveryTarget.Timeline.number) {
            var other = request
            other.target.timeline = timeline
            let further = PlanRefusal.Alternative.withPartials(other, source) { plan in
                guard plan.end > end, !plan.partials.isEmpty,
                    plan.path.contains(path.timeline(at: LSN(end.rawValue - 1)), upTo: end)
                else { return nil }
                let options = (other.arguments + ["--use-partial"]).joined(separator: " ")
                let words = command.map { runnable("\($0) \(options)") } ?? options
                return
                    "Segment \"\(plan.partials.map(\.description).joined(separator: "\", \""))\" exists as .partial only; "
                    + "\"\(words)\" takes \(command == nil ? "the recovery" : "a recovery of the whole cluster") to LSN "
                    + "\(plan.end)"
                    + (plan.lastIncluded.map { ", transaction \($0.xid) of \($0.time)." } ?? ".")
            }
            if let further { return further }
        }
        return nil
    }
}

extension PlanRefusal.Alternative {
    /// The alternative for a request with the incomplete segments.
    fileprivate static func withPartials(
        _ request: PlanRequest, _ source: ArchivePlanSource, _ meaning: (Plan) -> String?
    ) -> PlanRefusal.Alternative? {
        .proven(request, usePartials: true, by: { try Planning.plan($0, from: source) }, meaning)
    }
}
