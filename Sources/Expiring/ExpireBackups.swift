public import Backups
import Glibc
public import Platform
public import Repository
public import Retention
public import WAL

/// What `expire` removes, or would remove.
public struct ExpiryReport: Sendable {
    public var decision: RetentionDecision
    /// Segments to remove, by timeline and name.
    public var segments: [SegmentName] = []
    /// The same segments as runs without gaps.
    public var segmentRuns: [ClosedRange<SegmentName>] = []
    /// Backup history files and partial segments removed with them.
    public var otherWAL: [RepositoryKey] = []
    /// Labels of dead backups whose remains are removed.
    public var remains: [String] = []
    /// Packs of removed backups that others no longer need.
    public var sparePacks: [RepositoryKey] = []
    /// Bytes freed.
    public var freed: Int64 = 0
    /// Objects that could not be removed, with the reason.
    public var failures: [String] = []
    /// Timelines of which nobody knows the ancestors: whatever may lead to them is kept.
    public var unknown: [TimelineID] = []
}

/// The timeline that the cluster's own data directory is on.
public struct OwnTimeline: Sendable {
    public let timeline: TimelineID
    /// Nil when the directory has no history file of it.
    public let history: TimelineHistory?

    public init(_ timeline: TimelineID, _ history: TimelineHistory?) {
        (self.timeline, self.history) = (timeline, history)
    }
}

/// Decides by `policy` what to remove, and removes it unless `dryRun`: backups, remains of dead backups, and WAL. Each
/// backup's `backup.json` is removed first, so that a half-removed one is never taken for a whole one.
///
/// - Parameter proceed: asked before anything is looked at, and before each step of the removal; what it throws ends
///   the expiry there, and the next one removes the rest.
/// - Parameter own: the history of the timeline that the cluster's own data directory is on, when there is one.
/// - Throws: `DamagedMarker` where another version's format is, `BackupInProgress`, `ClockWentBack`, and what the store
///   throws; then nothing was removed.
public func expireBackups(
    of archive: ClusterArchive, policy: RetentionPolicy,
    own: OwnTimeline? = nil, now: Moment = Moment(microseconds: Clock.now), dryRun: Bool,
    proceed: () throws -> Void = {}
) throws -> ExpiryReport {
    try proceed()
    // It isn't known what another version keeps there, and why.
    _ = try archive.isUsable()
    let lock = dryRun ? nil : try BackupLock(archive)
    defer { withExtendedLifetime(lock) {} }
    var removal = dryRun ? nil : try BackupRemoval(from: archive)
    for timeline in dryRun ? [] : try archive.timelines() {
        try removal?.hold(archive.incarnation.walFolder(timeline))
    }
    let listing = try archive.listBackups()
    if let unreadable = listing.unreadable.first {
        let fault = unreadable.reason.fault
        throw Problem(
            "cannot expire: what backup \"\(unreadable.label)\" needs is unknown",
            detail: "Its backup.json \(fault.verdict). \(fault.detail)",
            // An object that can't be read now may be whole.
            hint: fault.isReadable
                ? "\(fault.hint) Or give the backup up: \(runnable("tidemark remove \(shellQuoted(unreadable.label))"))."
                : fault.hint)
    }
    let expiry = Expiry(archive: archive, listing: listing)
    var leases: [String: ExclusiveLease] = [:]
    if !dryRun {
        for backup in listing.all {
            leases[backup.label] = try ExclusiveLease(backup.label, of: archive)
        }
    }
    defer { withExtendedLifetime(leases) {} }
    let timelines = try expiry.timelines(own)
    let decision = try decideRetention(
        expiry.facts { try dryRun ? BackupLease.isHeld($0, of: archive) : leases[$0] == nil },
        timelines: timelines, policy: policy, now: now, firstWAL: expiry.firstWAL)
    var report = ExpiryReport(decision: decision)
    report.unknown = timelines.filter { branch in
        branch.unknownBefore.map { end in
            listing.all.contains { $0.timeline < branch.history.timeline && $0.stopLSN <= end }
        } ?? false
    }.map(\.history.timeline)
    var isRunning = false
    if lock == nil {
        do { isRunning = try BackupLock.isHeld(archive) } catch {
            isRunning = true
            report.failures.append(
                "cannot determine whether a backup is running, and so whether the remains of interrupted ones would be removed: \(error)"
            )
        }
    }
    try expiry.survey(&report, includesRemains: !isRunning)
    if let removal {
        let held = leases.values
        let confirmed = removal.confirmed {
            try lock?.confirm()
            for lease in held { try lease.confirm() }
        }
        try expiry.carryOut(&report, confirmed, proceed: proceed)
    }
    return report
}

/// What `policy` would keep now. Changes nothing and takes no lock: a check may call it while a backup runs.
/// - Throws: `ClockWentBack`, and what the store throws.
public func retentionDecision(
    of archive: ClusterArchive, listing: BackupListing, policy: RetentionPolicy, now: Moment
) throws -> RetentionDecision {
    let expiry = Expiry(archive: archive, listing: listing)
    return try decideRetention(
        expiry.facts { try BackupLease.isHeld($0, of: archive) }, timelines: expiry.timelines(),
        policy: policy, now: now, firstWAL: expiry.firstWAL)
}

/// One expiry: reads what the decision needs, and carries it out.
struct Expiry {
    let archive: ClusterArchive
    let listing: BackupListing
    /// How many segments are removed between two calls of `proceed`.
    private static let most = 64

    func facts(isLeased: (String) throws -> Bool) throws -> [RetainedBackup] {
        try listing.confirmUsable()
        return try listing.all.map { backup in
            let aside = listing.aside.first { $0.backup.label == backup.label }
            let visible = try aside?.damage ?? visibleDamage(of: backup, from: archive)
            var retained = RetainedBackup(
                label: backup.label, isFull: backup.kind == .full, timeline: backup.timeline, start: backup.startLSN,
                stop: backup.stopLSN, startTime: backup.startTime, stopTime: backup.stopTime,
                isPinned: backup.isPinned, pinnedUntil: backup.pinnedUntil,
                isLeased: try isLeased(backup.label),
                damage: try visible ?? damage(of: backup, from: archive),
                needs: backup.packs.map(\.label).filter { $0 != backup.label })
            retained.isVisiblyDamaged = visible != nil
            retained.isAside = aside != nil
            return retained
        }
    }

    /// Those of the archive, and the one the cluster is on, of which nothing may be archived yet.
    func timelines(_ own: OwnTimeline? = nil) throws -> [RetainedTimeline] {
        // The timeline of a backup that was put aside needn't be there.
        let aside = Set(listing.aside.map(\.backup.label))
        var all = Set(try archive.timelines())
        all.formUnion(listing.all.lazy.filter { !aside.contains($0.label) }.map(\.timeline))
        if let own { all.insert(own.timeline) }
        return try all.sorted().map { timeline in
            let segments = try archive.segments(timeline: timeline)
            let newest = segments.suffix(8)
            let known = try history(timeline, own)
            var branch = RetainedTimeline(
                known ?? TimelineHistory(timeline),
                lastCommit: try lastCommit(in: newest) ?? archive.lastArchived(on: timeline),
                end: newest.last.flatMap(end))
            if known == nil, timeline > TimelineID(1) {
                let size = listing.all.first?.segmentSize
                // A timeline begins in its first segment.
                branch.unknownBefore = size.flatMap { segments.first?.end(segmentSize: $0) } ?? LSN(.max)
            }
            return branch
        }
    }

    /// Nil when nothing tells it.
    /// - Throws: for a damaged one that no descendant's file tells.
    private func history(_ timeline: TimelineID, _ own: OwnTimeline?) throws -> TimelineHistory? {
        if let found = try archive.readableHistory(timeline) { return found }
        if let history = own?.history, history.timeline == timeline { return history }
        return try archive.timelineHistory(timeline)
    }

    /// From the newest few segments' summaries. Where they tell of none, it was at the latest when the last file of the
    /// timeline was archived.
    private func lastCommit(in newest: ArraySlice<SegmentName>) -> Moment? {
        for name in newest.reversed() {
            guard let summary = try? archive.summary(of: name) else { return nil }
            if let commit = summary.facts.latestCommit { return commit.time }
        }
        return nil
    }

    /// Where the records of a segment end: one in which its timeline was left may end early, and one that can't be read
    /// counts as full.
    private func end(of newest: SegmentName) -> LSN? {
        if let summary = try? archive.summary(of: newest) { return summary.recordsEnd }
        return listing.all.first.map { newest.end(segmentSize: $0.segmentSize) }
    }

    /// By the commits in the segments. Nil when the archive can't be listed, or a history can't be read.
    func firstWAL(since moment: Moment) -> LSN? {
        guard let size = listing.all.first?.segmentSize, let timelines = try? archive.timelines(),
            let segments = try? timelines.flatMap({ try archive.segments(timeline: $0) }),
            let histories = try? timelines.compactMap({ try archive.timelineHistory($0) })
        else { return nil }
        let archived = (try? archive.archivedTimes(of: timelines)) ?? [:]
        return Retention.firstWAL(
            since: moment, segments, histories: histories, segmentSize: size,
            age: { name in
                guard let summary = try? archive.summary(of: name) else { return .unreadable }
                return summary.facts.latestCommit.map { .commit($0.time) } ?? .noCommit
            }, archived: { archived[$0] })
    }

    /// Finds the objects to remove.
    func survey(_ report: inout ExpiryReport, includesRemains: Bool) throws {
        // Packs to which a kept backup refers stay, even under a removed label.
        let kept = keptPacks(report.decision)
        if includesRemains {
            report.remains = listing.incomplete
            for label in try gone() where kept.concern(label) {
                for entry in try archive.sparePacks(of: label, keeping: kept) {
                    report.sparePacks.append(archive.incarnation.packFolder(label).appending(entry.name))
                    report.freed += entry.size ?? 0
                }
            }
        }
        for label in report.decision.expired + report.remains {
            report.freed += try archive.removableSize(of: label, keeping: kept)
        }
        guard report.decision.keepWALFrom != nil, let segmentSize = listing.all.first?.segmentSize else { return }
        for timeline in try archive.timelines() {
            for folder in try archive.walFolders(of: timeline) {
                for found in try archive.files(in: folder) {
                    switch found.file {
                    case .segment(let name) where found.copy == 1:
                        if report.decision.keeps(name, segmentSize: segmentSize) { continue }
                        report.segments.append(name)
                    case .segment(let name), .partial(let name), .backupHistory(let name, _):
                        if report.decision.keeps(name, segmentSize: segmentSize) { continue }
                        report.otherWAL.append(folder.appending(found.entry.name))
                    // Histories are small, and recovery reads all of them.
                    case .history: continue
                    }
                    report.freed += found.entry.size ?? 0
                }
            }
        }
        report.segments.sort()
        for name in report.segments {
            if let run = report.segmentRuns.last, run.upperBound.next(segmentSize: segmentSize) == name {
                report.segmentRuns[report.segmentRuns.count - 1] = run.lowerBound...name
            } else {
                report.segmentRuns.append(name...name)
            }
        }
    }

    private func keptPacks(_ decision: RetentionDecision) -> KeptPacks {
        let kept = decision.kept
        return KeptPacks(of: listing.all.filter { kept.contains($0.label) })
    }

    /// Labels of which only packs are left to which some backup refers.
    private func gone() throws -> [String] {
        let others = Set(listing.all.map(\.label) + listing.incomplete + listing.unreadable.map(\.label))
        return try archive.store.list(archive.incarnation.packFolder).filter(\.isFolder).map(\.name)
            .filter { !others.contains($0) }
    }

    func carryOut(_ report: inout ExpiryReport, _ removal: BackupRemoval, proceed: () throws -> Void) throws {
        let kept = keptPacks(report.decision)
        for label in report.decision.expired {
            try proceed()
            attempt("backup \"\(label)\"", &report) { try removal(label, keeping: kept) }
        }
        for label in report.remains {
            try proceed()
            attempt("the remains of \"\(label)\"", &report) { try removal(label, keeping: kept) }
        }
        for key in report.sparePacks {
            try proceed()
            attempt("\"\(key)\"", &report) { try removal.folders.remove(key) }
        }
        // Oldest first: an interrupted expiry leaves no gap.
        for start in stride(from: 0, to: report.segments.count, by: Expiry.most) {
            try proceed()
            let some = report.segments[start..<min(report.segments.count, start + Expiry.most)]
            removal.folders.remove(some.map(archive.incarnation.segment)) { index, error in
                failed("segment \"\(report.segments[start + index])\"", error, &report)
            }
        }
        try proceed()
        removal.folders.remove(report.otherWAL) { index, error in
            failed("\"\(report.otherWAL[index])\"", error, &report)
        }
        for key in Set(report.segments.map { archive.key(for: .segment($0)).folder }) {
            removal.folders.removeIfEmpty(key)
        }
    }

    private func attempt(_ what: String, _ report: inout ExpiryReport, _ body: () throws -> Void) {
        do { try body() } catch { failed(what, error, &report) }
    }

    private func failed(_ what: String, _ error: any Error, _ report: inout ExpiryReport) {
        report.failures.append("could not remove \(what): \(error)")
    }
}

extension ClusterArchive {
    /// When the last file of a timeline was archived, by the clock of the storage; nil when nobody knows. What is
    /// imported, or copied without its times, counts as archived then.
    fileprivate func lastArchived(on timeline: TimelineID) throws -> Moment? {
        var entries = try store.list(incarnation.walFolder).filter { $0.name == incarnation.history(timeline).name }
        if let folder = try walFolders(of: timeline).last { entries += try store.list(folder).filter { !$0.isFolder } }
        var last: Int64?
        for entry in entries {
            guard let modified = entry.modified else { return nil }
            last = max(last ?? modified, modified)
        }
        return last.map { Moment(microseconds: $0) }
    }

    /// When each segment was archived, as far as that is known; of several copies the last.
    fileprivate func archivedTimes(of timelines: [TimelineID]) throws -> [SegmentName: Moment] {
        var times: [SegmentName: Moment] = [:]
        for folder in try timelines.flatMap(walFolders) {
            for found in try files(in: folder) {
                guard case .segment(let name) = found.file, let modified = found.entry.modified else { continue }
                let moment = Moment(microseconds: modified)
                times[name] = max(times[name] ?? moment, moment)
            }
        }
        return times
    }
}
