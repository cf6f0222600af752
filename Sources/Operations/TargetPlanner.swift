import Archiving
import Backups
import Catalog
import Configuration
import Monitoring
public import Planning
public import Platform
import Recovery
import Repository
import TableRecovery
import WAL

/// Makes the plan for a requested target, from the archive of the right incarnation, its catalog if there is one, and
/// the user's choice among several timelines.
struct TargetPlanner {
    let request: TargetRequest
    let archive: RecoveryArchive
    private let context: JobContext
    private let catalog: Catalog?
    private let jobs: Int

    /// A plan, and a doubt about its target, as a sentence.
    typealias Outcome = (plan: Plan, doubt: String?)

    /// - Parameters:
    ///   - undelivered: archived segments that were found not to be delivered to a server.
    ///   - replaced: as in `RecoveryArchive`.
    init(
        _ request: TargetRequest, of cluster: ClusterConfiguration, _ context: JobContext,
        undelivered: [WALBreak] = [], replaced: String? = nil
    ) throws {
        var request = request
        if let word = request.backup {
            request.backup = try incarnations(of: cluster).label(meantBy: word, incarnation: request.incarnation)
        }
        var archive = try RecoveryArchive(
            repository: cluster.openRepository(), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            jobs: cluster.jobs, timeline: request.readsAside ? request.number : nil, incarnation: request.incarnation,
            backup: request.backup, at: request.moment, replaced: replaced)
        // The plan itself says what it doesn't know of damage.
        archive.undelivered =
            undelivered + KnownDamage.undelivered(of: archive.contents) { context.note(.debug, $0) }
        self.archive = archive
        catalog = TargetPlanner.catalog(of: archive, cluster, context)
        (self.request, self.context, jobs) = (request, context, cluster.jobs)
    }

    /// The synchronized catalog; nil when there can't be one, as on a machine where nothing can be written: then the
    /// repository alone is used, more slowly.
    private static func catalog(
        of archive: RecoveryArchive, _ cluster: ClusterConfiguration, _ context: JobContext
    ) -> Catalog? {
        // The catalog doesn't include what was put aside.
        guard archive.putAside == nil else { return nil }
        do {
            let catalog = try Catalog(
                at: cluster.state.catalog(of: archive.contents.incarnation), archive: archive.contents,
                mayBeInMemory: false,
                note: { message in context.note(.warning, message) })
            catalog.undelivered = archive.undelivered
            // A recovery is rare, and nothing that has changed may be missed.
            try catalog.current(jobs: cluster.jobs, isExact: true) { _ in }
            return catalog
        } catch {
            context.note(.debug, "planning without a catalog: \(error)")
            return nil
        }
    }

    /// Plans along the requested timeline; when "latest" is ambiguous, asks.
    ///
    /// - Parameters:
    ///   - isInPlace: whether the cluster's own dead server is recovered, before the WAL in its pg_wal is archived.
    ///   - usesPartials: replays incomplete segments, whatever the request says.
    ///   - command: the command that replays incomplete segments, where the caller's own doesn't.
    /// - Throws: `Unreachable`, and what reading the archive throws.
    func plan(
        isInPlace: Bool = false, usesPartials: Bool = false, partialsBy command: String? = "tidemark recover"
    ) throws -> Outcome {
        let usesPartials = usesPartials || request.usesPartials
        let searched = archive.reading(partials: usesPartials, waiting: isInPlace)
        return try choosingTimeline { timeline in
            func plan(_ request: PlanRequest, _ catalog: Catalog?) throws -> Plan {
                isInPlace
                    ? try archive.planInPlace(request, usePartials: usesPartials, catalog: catalog)
                    : try archive.plan(
                        request, usePartials: usesPartials, offersPartials: true, partialsBy: command, catalog: catalog)
            }
            func plan(_ request: PlanRequest) throws -> Plan {
                guard let catalog else { return try plan(request, nil) }
                return try catalog.stillCurrent(jobs: jobs) { try plan(request, $0) }
            }
            if case .anyMoment = request.point { return (try anyMoment(timeline, plan), nil) }
            var (target, doubt) = try target(timeline, searched)
            target.timeline = timeline
            var made = try plan(PlanRequest(target, backup: request.backup))
            if let doubt { made.warnings.append(doubt) }
            return (made, doubt)
        }
    }

    private func choosingTimeline(_ plan: (RecoveryTarget.Timeline) throws -> Outcome) throws -> Outcome {
        do { return try plan(request.timeline) } catch let refusal as PlanRefusal {
            guard case .severalBranches(let branches) = refusal.reason,
                let chosen = context.chooseTimeline(refusal, branches),
                branches.contains(where: { $0.timeline == chosen })
            else { throw Unreachable(refusal: archive.told(refusal)) }
            do { return try plan(.number(chosen)) } catch let refusal as PlanRefusal {
                throw Unreachable(refusal: archive.told(refusal))
            }
        }
    }

    /// - Parameter archive: what is searched for a drop.
    private func target(
        _ timeline: RecoveryTarget.Timeline, _ archive: RecoveryArchive
    ) throws -> (target: RecoveryTarget, doubt: String?) {
        switch request.point {
        case .target(let target): return (target, nil)
        case .anyMoment: return (RecoveryTarget(.latest), nil)
        case .beforeDropOfDatabase(let name): return try beforeDrop(ofDatabase: name, timeline, archive)
        case .beforeDrop(let tables, let isDatabaseMeant):
            do {
                let moment = try momentBeforeDrop(
                    of: tables, in: archive, timeline: timeline, backup: request.backup)
                for (table, transaction) in moment.drops {
                    let what = "transaction \(transaction.xid), LSN \(transaction.lsn)"
                    context.note(.log, "table \(table.quoted) was dropped at \(transaction.time) by \(what)")
                }
                return (moment.target, moment.doubt)
            } catch let nothing as NoDropFound {
                var unknown: DropUnknown?
                if isDatabaseMeant {
                    let database = tables[0].database
                    do { return try beforeDrop(ofDatabase: database, timeline, archive) } catch is NoDatabaseDropFound {
                    } catch let nobodyTells as DropUnknown { unknown = nobodyTells }
                }
                if let early = try dropBeforeBackups(of: tables, in: archive, timeline: timeline) { throw early }
                // Only what isn't there may be said not to be there.
                if !nothing.unread.isEmpty || !nothing.obstacles.isEmpty {
                    let name = tables.count == 1 ? tables[0].exactName : nil
                    throw DropUnknown(
                        name.map { "table \($0.quoted)" } ?? "one of the tables", nothing.unread,
                        obstacles: nothing.obstacles)
                }
                if let unknown { throw unknown }
                let elsewhere = try onOtherTimelines(archive) {
                    let moment = try momentBeforeDrop(of: tables, in: archive, timeline: $0)
                    return moment.drops.first.map { (moment.target, $0.transaction.xid, $0.transaction.lsn) }
                }
                if let elsewhere { throw elsewhere }
                throw nothing
            }
        }
    }

    private func beforeDrop(
        ofDatabase name: String, _ timeline: RecoveryTarget.Timeline, _ archive: RecoveryArchive
    ) throws -> (target: RecoveryTarget, doubt: String?) {
        let moment: DatabaseDropMoment
        do { moment = try momentBeforeDrop(ofDatabase: name, in: archive, timeline: timeline) } catch let nothing
            as NoDatabaseDropFound
        {
            if let early = try dropBeforeBackups(ofDatabase: name, in: archive, timeline: timeline) { throw early }
            if !nothing.unread.isEmpty || !nothing.obstacles.isEmpty {
                throw DropUnknown("database \"\(name)\"", nothing.unread, obstacles: nothing.obstacles)
            }
            let elsewhere = try onOtherTimelines(archive) {
                let moment = try momentBeforeDrop(ofDatabase: name, in: archive, timeline: $0)
                return (moment.target, moment.drop.xid, moment.drop.lsn)
            }
            if let elsewhere { throw elsewhere }
            throw nothing
        }
        context.note(.log, "database \"\(name)\" was dropped by transaction \(moment.drop.xid), LSN \(moment.drop.lsn)")
        return (moment.target, moment.doubt)
    }

    /// The newest other timeline with a drop, when the chosen history has none; nil when no other has one.
    private func onOtherTimelines(
        _ archive: RecoveryArchive,
        _ find: (RecoveryTarget.Timeline) throws -> (target: RecoveryTarget, xid: UInt32, lsn: LSN)?
    ) throws -> DropElsewhere? {
        for timeline in try archive.contents.timelines().reversed() {
            let found: (target: RecoveryTarget, xid: UInt32, lsn: LSN)?
            do { found = try find(.number(timeline)) } catch is NoDropFound { continue } catch is NoDatabaseDropFound {
                continue
            } catch is PlanRefusal { continue }
            guard let (moment, xid, lsn) = found else { continue }
            var target = moment
            target.timeline = .number(timeline)
            return DropElsewhere(
                timeline: timeline, xid: xid, lsn: lsn,
                offer: archive.offer(PlanRequest(target, backup: request.backup)) { _ in
                    "just before it, on timeline \(timeline)"
                })
        }
        return nil
    }

    /// A plan for a time between the oldest backup and the end of the archive that can be recovered to.
    private func anyMoment(_ timeline: RecoveryTarget.Timeline, _ plan: (PlanRequest) throws -> Plan) throws -> Plan {
        let latest = PlanRequest(RecoveryTarget(.latest, timeline: timeline))
        var everything: Plan?
        var refusal: PlanRefusal?
        do { everything = try plan(latest) } catch let found as PlanRefusal {
            if case .severalBranches = found.reason { throw found }
            // There is a gap: times before it can still be rehearsed.
            refusal = found
        }
        let stops = archive.backups.complete.map(\.stopTime)
        let from = stops.min() ?? Moment(microseconds: 0)
        let until = everything?.lastIncluded?.time ?? everything?.backup.stopTime ?? Moment(microseconds: Clock.now)
        // A time before the first backup of this history, or in a gap, can't be reached; another one can.
        for _ in 0..<20 where from < until {
            let moment = Moment(microseconds: Int64.random(in: from.microseconds...until.microseconds))
            let request = PlanRequest(RecoveryTarget(.time(moment), timeline: timeline))
            do { return try plan(request) } catch is PlanRefusal { continue }
        }
        if let everything { return everything }
        for stop in stops.sorted().reversed() {
            let request = PlanRequest(RecoveryTarget(.time(stop), timeline: timeline))
            do { return try plan(request) } catch is PlanRefusal { continue }
        }
        throw refusal ?? PlanRefusal(latest.target, .noBackup)
    }
}

/// The object was dropped, but not on the chosen history.
public struct DropElsewhere: Explained {
    let timeline: TimelineID
    let xid: UInt32
    let lsn: LSN
    let offer: PlanRefusal.Alternative?
    public var message: String { "the history that is followed has no such drop, but timeline \(timeline) has" }
    public var detail: String? {
        "It was dropped by transaction \(xid) (LSN \(lsn)), which only timeline \(timeline) holds."
    }
    public var hint: String? { offer.map { "Reachable: \($0.sentence)." } }
}

/// A refusal that names the archive.
public struct Unreachable: Explained {
    public let refusal: PlanRefusal
    public var message: String { refusal.message }
    public var detail: String? { refusal.detail }
    public var hint: String? { refusal.hint }
}
