import Archiving
public import Backups
import Catalog
public import Configuration
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
        let known = try incarnations(of: cluster)
        var report = ListReport(cluster: cluster.name)
        report.isContradicted = context.noteContradiction(of: cluster, known.current) != nil
        for lost in known.lost { context.note(.warning, lost) }
        report.isWhole = known.lost.isEmpty
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
            let (moments, histories) =
                listing.complete.isEmpty ? (nil, []) : moments(of: listing.complete, archive)
            report.lost += histories
            let found = (moments?.windows ?? []).compactMap {
                if case .missing(let gap) = $0.ending { gap } else { nil }
            }
            if !found.isEmpty {
                let expired = try expiredSegments(
                    of: archive, cluster, by: policy, segmentSize: found[0].segmentSize)
                for gap in found where !report.gaps.contains(gap) && !gap.names.allSatisfy({ expired.contains($0) }) {
                    report.gaps.append(gap)
                }
            }
            let backups = try listing.all.map { backup in
                let span = BackupSpan(backup)
                return ListReport.Backup(
                    description: backup, until: histories.obstacle(to: span) == nil ? moments?.end(of: span) : nil,
                    verified: try lastVerification(of: backup.label, of: archive),
                    aside: listing.aside.first { $0.backup.label == backup.label })
            }
            for damaged in listing.unreadable { context.note(.warning, damaged.reason) }
            for unlisted in listing.unlistedAside { context.note(.warning, unlisted) }
            report.unreadable += listing.unreadable.count
            report.incarnations.append(
                .init(
                    incarnation: incarnation, isCurrent: isCurrent, backups: backups, incomplete: listing.incomplete))
        }
        return report
    }

    /// How far each backup can be recovered, and the lost histories that might lead further. Empty without a catalog:
    /// the backups are listed all the same.
    private func moments(
        of backups: [BackupDescription], _ archive: ClusterArchive
    ) -> (ReachableMoments?, [LostHistory]) {
        let context = context
        do {
            let recovery = try RecoveryArchive(of: cluster, archive.incarnation)
            let catalog = try Catalog(
                at: cluster.state.catalog(of: archive.incarnation), archive: archive,
                note: { context.note(.warning, $0) })
            return try catalog.current(
                jobs: cluster.jobs,
                progress: { context.progress(.readingSegments(done: $0, total: $1)) },
                {
                    let moments = try ReachableMoments(of: backups.map(BackupSpan.init), in: recovery, $0)
                    return (moments, try $0.lostHistories())
                })
        } catch {
            context.note(.warning, "it is not known until when backups are recoverable", detail: "\(error)")
            return (nil, [])
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
    /// WAL that is missing after backups, and not on purpose.
    public fileprivate(set) var gaps: [LineageGap] = []
    /// Timelines whose histories are missing or damaged.
    public fileprivate(set) var lost: [LostHistory] = []
    /// Whether the cluster's own server has other WAL than some of the archive's.
    public fileprivate(set) var isContradicted = false
    /// Whether every incarnation could be read.
    fileprivate(set) var isWhole = true

    fileprivate init(cluster: String) { self.cluster = cluster }

    public var isGood: Bool { gaps.isEmpty && lost.isEmpty && isWhole && !isContradicted && unreadable == 0 }
}
