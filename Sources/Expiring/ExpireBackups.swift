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
    /// Backups that are kept, and whose `backup.json` nothing protects any more.
    public var unsealed: [UnsealedBackup] = []
    /// Timelines of which nobody knows the ancestors: whatever may lead to them is kept.
    public var unknown: [TimelineID] = []
}

/// Decides by `policy` what to remove, and removes it unless `dryRun`: backups, remains of dead backups, and WAL. Each
/// backup's `backup.json` is removed first, so that a half-removed one is never taken for a whole one.
///
/// - Parameter proceed: asked before anything is looked at, and before each step of the removal; what it throws ends
///   the expiry there, and the next one removes the rest.
/// - Parameter own: the history of the timeline that the cluster's own data directory is on, when there is one.
/// - Throws: `DamagedMarker` where another version's format is, `WALMissing`, `BackupInProgress`, `ClockWentBack`, and
///   what the store throws; then nothing was removed.
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
    // Where all WAL seems to be lost, every backup would look damaged.
    try archive.requireWAL()
    let listing = try archive.listBackups(locked: lock != nil)
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
    let kept = decision.kept
    report.unsealed = listing.unsealed.filter { kept.contains($0.label) }
    if dryRun {
        for label in decision.expired + report.remains {
            do { try BackupRemoval.refuseLinks(label, of: archive, archive.store.removal()) } catch {
                report.failures.append("could not remove backup \"\(label)\": \(error)")
            }
        }
    }
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
/// - Parameter own: as for `expireBackups`.
/// - Throws: `ClockWentBack`, and what the store throws.
public func retentionDecision(
    of archive: ClusterArchive, listing: BackupListing, policy: RetentionPolicy, own: OwnTimeline? = nil, now: Moment
) throws -> RetentionDecision {
    let expiry = Expiry(archive: archive, listing: listing)
    return try decideRetention(
        expiry.facts { try BackupLease.isHeld($0, of: archive) }, timelines: expiry.timelines(own),
        policy: policy, now: now, firstWAL: expiry.firstWAL)
}
