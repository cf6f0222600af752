import Archiving
public import Backups
public import Catalog
public import Configuration
import Jobs
public import Monitoring
import Platform
import Recovery
public import Repository
public import Retention
public import WAL

/// Lists the base backups of all incarnations of a cluster.
public struct ListJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let context: JobContext

    /// - Parameter policy: decides which segments are missing on purpose.
    public init(of cluster: ClusterConfiguration, policy: RetentionPolicy, _ context: JobContext = JobContext()) {
        (self.cluster, self.policy, self.context) = (cluster, policy, context)
    }

    /// - Throws: when the repository holds nothing of the cluster; what reading the incarnation in use throws.
    public func run() throws -> ListReport {
        let known = try incarnations(of: cluster, context)
        var report = ListReport(cluster: cluster.name)
        report.isContradicted = context.noteContradiction(of: cluster, known.current) != nil
        for lost in known.lost { context.note(.warning, lost) }
        report.isWhole = known.lost.isEmpty && known.doubted.isEmpty
        for archive in known.all {
            let incarnation = archive.incarnation
            let isCurrent = incarnation == known.current.incarnation
            let listing: BackupListing
            do { listing = try archive.listBackups() } catch  where !isCurrent {
                // An error of a former incarnation doesn't hide the one in use.
                let explained = error as? any Explained
                context.note(
                    .warning, "incarnation \(incarnation.folderName), before initdb or pg_upgrade, cannot be read",
                    detail: "\(explained?.message ?? "\(error)").", hint: explained?.hint)
                report.isWhole = false
                continue
            }
            let wal = listing.complete.isEmpty ? nil : reach(of: listing.complete, archive)
            report.lost += wal?.lost ?? []
            for gap in wal?.gaps ?? [] where !report.gaps.contains(gap) { report.gaps.append(gap) }
            let backups = try listing.all.map { backup in
                let span = BackupSpan(backup)
                return ListReport.Backup(
                    description: backup,
                    until: wal.flatMap { $0.lost.obstacle(to: span) == nil ? $0.moments.end(of: span) : nil },
                    verified: try lastVerification(of: backup.label, of: archive),
                    gaps: wal.map { known in known.gaps.filter { $0.affects(span, known.genealogy) } } ?? [],
                    aside: listing.aside.first { $0.backup.label == backup.label })
            }
            for damaged in listing.unreadable { context.note(.warning, damaged.reason) }
            for missing in listing.unsealed { context.note(.warning, missing) }
            for unlisted in listing.unlistedAside { context.note(.warning, unlisted) }
            report.unreadable += listing.unreadable.count
            report.incarnations.append(
                .init(
                    incarnation: incarnation, isCurrent: isCurrent, backups: backups, incomplete: listing.incomplete))
        }
        do {
            report.damage = try KnownDamage.find(
                in: JobJournal(of: known.current).contents(kind: .verify).jobs,
                and: known.current.listBackups().complete, of: known.current, former: known.former,
                now: Moment(microseconds: Clock.now))
        } catch {
            context.note(.warning, "known damage could not be examined", detail: sentences(of: error))
            report.isWhole = false
        }
        for item in report.damage { context.note(.error, item.sentence, hint: item.remedy) }
        return report
    }

    /// How far the WAL after some backups leads.
    private struct Reach {
        let moments: ReachableMoments
        /// Where it can't be followed, except for what was removed on purpose.
        let gaps: [WALGap]
        let genealogy: Genealogy
        /// The histories that might lead further.
        let lost: [LostHistory]
    }

    /// Nil without a catalog: the backups are listed all the same.
    private func reach(of backups: [BackupDescription], _ archive: ClusterArchive) -> Reach? {
        let (context, spans) = (context, backups.map(BackupSpan.init))
        do {
            let recovery = try RecoveryArchive(of: cluster, archive.incarnation)
            let catalog = try Catalog(
                at: cluster.state.catalog(of: archive.incarnation), archive: archive,
                note: { context.note(.warning, $0) })
            catalog.undelivered = KnownDamage.undelivered(of: archive) { context.note(.warning, $0) }
            return try catalog.current(
                jobs: cluster.jobs,
                progress: { context.progress(.readingSegments(done: $0, total: $1)) },
                { catalog in
                    let size = try catalog.segmentSize() ?? 16 << 20
                    let expired = try expiredSegments(of: archive, cluster, by: policy, segmentSize: size)
                    return Reach(
                        moments: try ReachableMoments(of: spans, in: recovery, expired: expired, catalog),
                        gaps: try catalog.gaps(after: spans, expired: expired).filter { !$0.isExpired },
                        genealogy: try catalog.genealogy(), lost: try catalog.lostHistories())
                })
        } catch {
            context.note(.warning, "it is not known until when backups are recoverable", detail: sentences(of: error))
            return nil
        }
    }
}

/// The backups of a cluster.
public struct ListReport: Sendable {
    public struct Backup: Sendable {
        public let description: BackupDescription
        /// The last time to which it can be recovered; nil when unknown.
        public let until: ReachableMoments.End?
        public let verified: RecordedVerification?
        /// Where the WAL after it can't be followed, and not on purpose.
        public let gaps: [WALGap]
        /// Why it can't be used.
        public let aside: AsideBackup?
    }
    public struct Part: Sendable {
        public let incarnation: Incarnation
        /// Whether it is the one in use.
        public let isCurrent: Bool
        public let backups: [Backup]
        /// Labels of backups that are running, or were interrupted.
        public let incomplete: [String]
    }
    public let cluster: String
    public fileprivate(set) var incarnations: [Part] = []
    /// How many backups can't be read.
    public fileprivate(set) var unreadable = 0
    /// Where the WAL after the backups can't be followed, and not on purpose.
    public fileprivate(set) var gaps: [WALGap] = []
    /// Damage that a verification found and that persists, also in former incarnations.
    public fileprivate(set) var damage: [KnownDamage] = []
    /// Timelines whose histories are missing or damaged.
    public fileprivate(set) var lost: [LostHistory] = []
    /// Whether the cluster's own server has other WAL than some of the archive's.
    public fileprivate(set) var isContradicted = false
    /// Whether every incarnation could be read.
    fileprivate(set) var isWhole = true

    fileprivate init(cluster: String) { self.cluster = cluster }

    public var isGood: Bool {
        gaps.isEmpty && damage.isEmpty && lost.isEmpty && isWhole && !isContradicted && unreadable == 0
    }
}
