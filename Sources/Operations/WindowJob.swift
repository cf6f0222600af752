public import Catalog
public import Configuration
public import Monitoring
import Platform
public import Recovery
import Repository
public import Retention
public import WAL

/// Finds the times to which a recovery is possible.
public struct WindowJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let context: JobContext

    /// - Parameter policy: decides which segments are missing on purpose.
    public init(of cluster: ClusterConfiguration, policy: RetentionPolicy, _ context: JobContext = JobContext()) {
        (self.cluster, self.policy, self.context) = (cluster, policy, context)
    }

    /// - Throws: what reading the repository throws.
    public func run() throws -> WindowReport {
        let access = try CatalogAccess(of: cluster, context)
        let expired = try access.expired(by: policy)
        let archive = try RecoveryArchive(of: cluster, access.archive.incarnation)
        let (moments, gaps) = try access.ask {
            (
                try ReachableMoments(of: access.spans, in: archive, expired: expired, $0),
                try $0.gaps(after: access.spans, expired: expired)
            )
        }
        let lost = try access.lostHistories()
        let damage = try KnownDamage.find(of: access.archive)
        for item in damage { context.note(.error, item.sentence, hint: item.remedy) }
        return WindowReport(
            cluster: cluster.name, now: Moment(microseconds: Clock.now), moments: moments, gaps: gaps,
            unreadable: access.unreadable.count, damage: damage, lost: lost, expired: expired,
            contradiction: access.contradiction())
    }
}

/// The times to which a recovery is possible.
public struct WindowReport: Sendable {
    public let cluster: String
    public let now: Moment
    public let moments: ReachableMoments
    /// Gaps after the backups.
    public let gaps: [WALGap]
    /// How many backups can't be read.
    public let unreadable: Int
    /// Damage that a verification found and that persists.
    public let damage: [KnownDamage]
    /// Timelines whose histories are missing or damaged.
    public let lost: [LostHistory]
    /// Where the archive has another server's WAL under the names of that of the cluster's own.
    public let contradiction: Contradiction?
    private let expired: SegmentSet

    init(
        cluster: String, now: Moment, moments: ReachableMoments, gaps: [WALGap], unreadable: Int,
        damage: [KnownDamage], lost: [LostHistory], expired: SegmentSet, contradiction: Contradiction?
    ) {
        (self.cluster, self.now, self.moments, self.gaps) = (cluster, now, moments, gaps)
        (self.unreadable, self.damage, self.lost, self.expired) = (unreadable, damage, lost, expired)
        self.contradiction = contradiction
    }

    public var windows: [RecoveryWindow] { moments.windows }

    /// The windows with at least one time to recover to.
    public var usable: [RecoveryWindow] {
        windows.filter { $0.isConsistent && lost.obstacle(to: $0.backup) == nil }
    }
    /// Those of them that are reached without naming a timeline.
    public var ordinary: [RecoveryWindow] { usable.filter { moments.mustName(for: $0) == nil } }
    public var from: Moment? { ordinary.map(\.from).min() }
    public var to: Moment? { ordinary.map { $0.last?.time ?? $0.from }.max() }

    /// Whether all segments of a gap were removed on purpose.
    public func isExpired(_ gap: LineageGap) -> Bool { gap.names.allSatisfy { expired.contains($0) } }

    /// Whether there is no problem. A window that ends at what `expire` removed is none.
    public var isGood: Bool {
        !usable.isEmpty && contradiction == nil && lost.isEmpty && damage.isEmpty && unreadable == 0
            && windows.allSatisfy { window in
                switch window.ending {
                case .archiveEnd: true
                case .missing(let gap): isExpired(gap)
                case .unusable: false
                }
            }
    }
}

extension [LostHistory] {
    /// The damaged history that every recovery from a backup requests, before the server chooses a timeline of its own;
    /// nil when there is none.
    func obstacle(to backup: BackupSpan) -> LostHistory? { first { $0.isDamaged && $0.timeline > backup.timeline } }
}
