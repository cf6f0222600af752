public import BaseBackup
public import Catalog
import DataDirectory
public import Platform
public import Repository
public import WAL

/// A cluster's archive, opened for planning and recovering: the incarnation that is meant, its backups, and what the
/// planner asks.
public struct RecoveryArchive {
    public let store: any ObjectStore
    public let incarnation: Incarnation
    public let backups: BackupListing
    /// What the cluster's own data directory tells; nil when it tells nothing.
    public let own: OwnDirectory?
    private let jobs: Int
    /// The timeline that was asked for and had been put aside; it is served for this recovery only.
    public let putAside: TimelineID?
    /// What had to be assumed, as sentences.
    public let remarks: [String]

    /// - Parameter dataDirectory: the configured one; it tells which incarnation is meant when there are several. It
    ///   may be gone.
    /// - Parameter timeline: the number that was asked for; it may have been put aside.
    public init(
        store: any ObjectStore, cluster: String, dataDirectory: String, jobs: Int, timeline: TimelineID? = nil
    ) throws {
        let all = try store.incarnations(of: cluster)
        guard var chosen = all.last else { throw NothingArchived(cluster: cluster, location: store.location) }
        var remarks: [String] = []
        var listing: BackupListing?
        if all.count > 1 {
            let directory = DataDirectory(dataDirectory)
            if let control = try? directory.controlFile(), let major = try? directory.majorVersion(),
                let own = all.first(where: { $0.systemIdentifier == control.systemIdentifier && $0.major == major })
            {
                chosen = own
            } else {
                // Without a data directory the newest backup tells which incarnation was in use last.
                let listings = try all.map { ($0, try listBackups(of: $0, in: store)) }
                let newest = listings.max { newestStop($0.1) < newestStop($1.1) }
                if let newest { (chosen, listing) = (newest.0, newest.1) }
                remarks.append(
                    "The repository holds \(all.count) incarnations of cluster \"\(cluster)\"; \(chosen.folderName) has "
                        + "the newest backup and is used.")
            }
        }
        incarnation = chosen
        backups = try listing ?? listBackups(of: chosen, in: store)
        for bad in backups.unreadable { remarks.append("Backup \"\(bad.label)\" is left out: \(bad.reason.message).") }
        let aside = try timeline.flatMap { timeline in
            let isThere =
                try store.exists(chosen.history(timeline)) || !store.segments(of: chosen, timeline: timeline).isEmpty
            return try isThere ? nil : AsideStore(store, chosen, timeline: timeline)
        }
        self.store = aside ?? store
        putAside = aside == nil ? nil : timeline
        if let putAside { remarks.append("Timeline \(putAside) was put aside; this recovery reads it all the same.") }
        self.remarks = remarks
        self.jobs = jobs
        own = OwnDirectory(dataDirectory, of: chosen, in: store)
    }

    /// What the planner asks.
    public var source: ArchivePlanSource { planSource(usePartials: false) }

    /// A view for the planner.
    /// - Parameter waiting: counts as if it were archived already.
    public func planSource(usePartials: Bool, waiting: WaitingWAL = WaitingWAL()) -> ArchivePlanSource {
        ArchivePlanSource(
            store: store, incarnation: incarnation, segmentSize: backups.complete.last?.segmentSize ?? 16 << 20,
            backups: backups.complete.map(RestorableBackup.init), jobs: jobs, usePartials: usePartials,
            waiting: waiting)
    }

    /// Plans a recovery in the place of the cluster's own dead server, before what it left in pg_wal is archived.
    /// - Throws: as `plan`.
    public func planInPlace(_ request: PlanRequest, usePartials: Bool, catalog: Catalog? = nil) throws -> Plan {
        guard let own, !own.waiting.isEmpty else {
            return try plan(request, usePartials: usePartials, catalog: catalog)
        }
        var plan = try Recovery.plan(
            aware(request), from: planSource(usePartials: usePartials || own.waiting.hasLast, waiting: own.waiting))
        plan.waiting = own.waiting.segments.keys.filter { name in
            plan.segments.contains { $0.first.timeline == name.timeline && $0.first <= name && name <= $0.last }
        }.sorted()
        return plan
    }

    /// The same request, with what is known of the cluster.
    public func aware(_ request: PlanRequest) -> PlanRequest {
        var request = request
        request.known = request.known ?? own?.place
        return request
    }

    /// Plans; where the incomplete last segment of a timeline would lead further, says so.
    /// - Throws: `PlanRefusal`, and what reading throws.
    /// - Parameter catalog: brought up to date; with it a plan costs the same however large the archive is.
    public func plan(_ request: PlanRequest, usePartials: Bool, catalog: Catalog? = nil) throws -> Plan {
        let request = aware(request)
        if usePartials { return try Recovery.plan(request, from: planSource(usePartials: true)) }
        do {
            var plan =
                if let catalog {
                    try Recovery.plan(request, from: CatalogPlanSource(catalog, source))
                } else {
                    try Recovery.plan(request, from: source)
                }
            if request.target.point == .latest, let (further, arguments) = try plan.further(request, in: self) {
                plan.warnings.append(
                    "Segment \"\(further.partials.map(\.description).joined(separator: "\", \""))\" exists as .partial only; "
                        + "\"\(arguments.joined(separator: " "))\" takes the recovery to LSN \(further.end)"
                        + (further.lastIncluded.map { ", transaction \($0.xid) of \($0.time)." } ?? "."))
            }
            return plan
        } catch let refusal as PlanRefusal {
            guard case .afterLast = refusal.reason,
                (try? Recovery.plan(request, from: planSource(usePartials: true))) != nil
            else { throw refusal }
            throw refusal.adding(
                .init(
                    meaning: "with the incomplete last segment of the timeline",
                    arguments: request.target.arguments + ["--use-partial"]))
        }
    }
}

extension Plan {
    /// The plan that gets furthest with an incomplete segment where this one's WAL ends, and the words that ask for it.
    /// The segment's own timeline may have to be named: of the one that left it, nothing may be archived yet.
    fileprivate func further(
        _ request: PlanRequest, in archive: RecoveryArchive
    ) throws -> (plan: Plan, arguments: [String])? {
        guard let last = segments.last?.last.number(segmentSize: segmentSize) else { return nil }
        let partial = try archive.store.timelines(of: archive.incarnation).filter { timeline in
            try [last, last + 1].contains { number in
                let name = SegmentName(timeline: timeline, number: number, segmentSize: segmentSize)
                return try archive.store.exists(archive.incarnation.partial(name))
            }
        }
        guard !partial.isEmpty else { return nil }
        let source = archive.planSource(usePartials: true)
        for timeline in [request.target.timeline] + partial.reversed().map(RecoveryTarget.Timeline.number) {
            var other = request
            other.target.timeline = timeline
            if let plan = try? Recovery.plan(other, from: source), plan.end > end, !plan.partials.isEmpty {
                return (plan, other.target.arguments + ["--use-partial"])
            }
        }
        return nil
    }
}

private func newestStop(_ listing: BackupListing) -> Int64 {
    listing.complete.map(\.stopTime.microseconds).max() ?? .min
}

/// Nothing was ever archived for the cluster.
public struct NothingArchived: Explained, Equatable {
    public let cluster: String
    public let location: String
    public var message: String { "repository \"\(location)\" holds nothing of cluster \"\(cluster)\"" }
    public var hint: String? { "\"tidemark init\" starts archiving; is the right repository configured and mounted?" }
}

extension RestorableBackup {
    public init(_ backup: BackupDescription) {
        self.init(
            label: backup.label, timeline: backup.timeline, start: backup.startLSN, stop: backup.stopLSN,
            startTime: backup.startTime, stopTime: backup.stopTime, size: backup.size)
    }
}
