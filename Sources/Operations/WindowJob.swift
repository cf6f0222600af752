public import Catalog
public import Configuration
public import Monitoring
import Platform
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
        let (windows, gaps) = try access.ask {
            (try $0.windows(of: access.spans), try $0.gaps(behind: access.spans, expired: expired))
        }
        let lost = try access.lostHistories()
        let damage = try KnownDamage.find(of: access.archive)
        for item in damage { context.note(.error, item.sentence, hint: item.remedy) }
        return WindowReport(
            cluster: cluster.name, now: Moment(microseconds: Clock.now), windows: windows, gaps: gaps,
            unreadable: access.unreadable.count, damage: damage, lost: lost, expired: expired,
            isContradicted: access.contradiction() != nil)
    }
}

/// The times to which a recovery is possible.
public struct WindowReport: Sendable {
    public let cluster: String
    public let now: Moment
    public let windows: [RecoveryWindow]
    /// Gaps after the backups.
    public let gaps: [WALGap]
    /// How many backups can't be read.
    public let unreadable: Int
    /// Damage that a verification found and that persists.
    public let damage: [KnownDamage]
    /// Timelines whose histories are missing or damaged.
    public let lost: [LostHistory]
    /// Whether the cluster's own server has other WAL than some of the archive's.
    public let isContradicted: Bool
    private let expired: SegmentSet

    init(
        cluster: String, now: Moment, windows: [RecoveryWindow], gaps: [WALGap], unreadable: Int,
        damage: [KnownDamage], lost: [LostHistory], expired: SegmentSet, isContradicted: Bool
    ) {
        (self.cluster, self.now, self.windows, self.gaps) = (cluster, now, windows, gaps)
        (self.unreadable, self.damage, self.lost, self.expired) = (unreadable, damage, lost, expired)
        self.isContradicted = isContradicted
    }

    /// The windows with at least one time to recover to.
    public var usable: [RecoveryWindow] { windows.filter(\.isConsistent) }
    public var from: Moment? { usable.map(\.from).min() }
    public var to: Moment? { usable.map { $0.last?.time ?? $0.from }.max() }

    /// Whether all segments of a gap were removed on purpose.
    public func isExpired(_ gap: LineageGap) -> Bool { gap.names.allSatisfy { expired.contains($0) } }

    /// Whether there is no problem. A window that ends at what `expire` removed is none.
    public var isGood: Bool {
        !usable.isEmpty && !isContradicted && lost.isEmpty && damage.isEmpty && unreadable == 0
            && windows.allSatisfy { window in
                switch window.ending {
                case .archiveEnd: true
                case .missing(let gap): isExpired(gap)
                case .unusable: false
                }
            }
    }
}
