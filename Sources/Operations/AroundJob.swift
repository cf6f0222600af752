public import Catalog
public import Configuration
import Platform
public import Retention
public import WAL

/// Finds the transactions around a time.
public struct AroundJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let context: JobContext

    /// - Parameter policy: decides which segments are missing on purpose.
    public init(of cluster: ClusterConfiguration, policy: RetentionPolicy, _ context: JobContext = JobContext()) {
        (self.cluster, self.policy, self.context) = (cluster, policy, context)
    }

    /// - Parameters:
    ///   - timeline: the timeline to follow; nil for the newest.
    ///   - count: how many transactions before and after.
    /// - Throws: `Problem` when nothing is archived; what reading the repository throws.
    public func run(_ moment: Moment, on timeline: TimelineID? = nil, count: Int = 5) throws -> AroundReport {
        let access = try CatalogAccess(of: cluster, context)
        let names = BackupNames(access, context)
        let found = try access.ask {
            try $0.surroundings(
                of: moment, on: timeline, count: count, expired: access.expired(by: policy), backups: access.spans)
        }
        guard let found else { throw Problem("no WAL of cluster \"\(cluster.name)\" is archived") }
        let lost = try access.lostHistories()
        func named(_ transaction: NearbyTransaction) -> AroundReport.Transaction {
            AroundReport.Transaction(transaction, names.names(at: transaction.mark.lsn))
        }
        return AroundReport(
            moment: moment, timeline: found.timeline, before: found.before.map(named), after: found.after.map(named),
            gaps: found.gaps, removed: found.removed, unreadable: found.unreadable, lost: lost,
            isContradicted: access.contradiction() != nil)
    }
}

/// The transactions around a time, in the order of the WAL.
public struct AroundReport: Sendable {
    public struct Transaction: Sendable {
        public let mark: TransactionMark
        public let isCommit: Bool
        /// The tables and sequences that it changed, by name.
        public let relations: [String]
        /// The number of changed files that no backup's relation map names.
        public let nameless: Int

        fileprivate init(_ transaction: NearbyTransaction, _ maps: [RelationNames]) {
            (mark, isCommit) = (transaction.mark, transaction.isCommit)
            var listed: [String] = []
            var unknown = 0
            for file in transaction.files {
                guard let map = maps.first(where: { $0.relation(file) != nil }), let relation = map.relation(file)
                else {
                    unknown += 1
                    continue
                }
                // Tables and sequences are listed, their indexes not; changes of catalogs are definitions.
                if relation.isTable, !relation.isSystem { listed.append(map.fullName(relation)) }
            }
            (relations, nameless) = (listed.sorted(), unknown)
        }
    }
    public let moment: Moment
    public let timeline: TimelineID
    /// The last ones that a recovery to that time includes.
    public let before: [Transaction]
    /// The first ones it doesn't include.
    public let after: [Transaction]
    /// WAL among them that is missing, and not on purpose.
    public let gaps: [LineageGap]
    /// WAL among them that was removed on purpose.
    public let removed: [LineageGap]
    /// Segments among them that can't be read.
    public let unreadable: [UnreadableWAL]
    /// Timelines whose histories are missing or damaged.
    public let lost: [LostHistory]
    /// Whether the cluster's own server has other WAL than some of the archive's.
    public let isContradicted: Bool

    /// Whether nothing is missing but what is missing on purpose.
    public var isWhole: Bool { gaps.isEmpty && unreadable.isEmpty && lost.isEmpty && !isContradicted }
}
