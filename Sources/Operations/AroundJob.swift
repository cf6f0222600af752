public import Catalog
public import Configuration
import Platform
public import Retention
public import WAL

/// Looks up the transactions around a moment.
public struct AroundJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let context: JobContext

    /// - Parameter policy: what may be missing on purpose.
    public init(of cluster: ClusterConfiguration, policy: RetentionPolicy, _ context: JobContext = JobContext()) {
        (self.cluster, self.policy, self.context) = (cluster, policy, context)
    }

    /// - Parameters:
    ///   - timeline: the one to follow; nil for the newest.
    ///   - count: how many on either side.
    /// - Throws: `Problem` when nothing is archived; what reading the repository throws.
    public func run(_ moment: Moment, on timeline: TimelineID? = nil, count: Int = 5) throws -> AroundReport {
        let access = try CatalogAccess(of: cluster, context)
        let names = BackupNames(access, context)
        let found = try access.ask {
            try $0.surroundings(of: moment, on: timeline, count: count, expired: access.expired(by: policy))
        }
        guard let found else { throw Problem("no WAL of cluster \"\(cluster.name)\" is archived") }
        let lost = try access.lostHistories()
        func named(_ transaction: NearbyTransaction) -> AroundReport.Transaction {
            AroundReport.Transaction(transaction, names.names(at: transaction.mark.lsn))
        }
        return AroundReport(
            moment: moment, timeline: found.timeline, before: found.before.map(named), after: found.after.map(named),
            gaps: found.gaps, removed: found.removed, unreadable: found.unreadable, lost: lost)
    }
}

/// The transactions around a moment, in the order of the WAL.
public struct AroundReport: Sendable {
    public struct Transaction: Sendable {
        public let mark: TransactionMark
        public let isCommit: Bool
        /// The tables and sequences that it changed, by name.
        public let relations: [String]
        /// How many files it changed that no backup's relation map has a name for.
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
                // Tables and sequences speak for their indexes; catalogs say that something was defined.
                if relation.isTable, !relation.isSystem { listed.append(map.fullName(relation)) }
            }
            (relations, nameless) = (listed.sorted(), unknown)
        }
    }
    public let moment: Moment
    public let timeline: TimelineID
    /// Those that a recovery to the moment includes, the last ones.
    public let before: [Transaction]
    /// The first ones it doesn't include.
    public let after: [Transaction]
    /// WAL that is missing among them, and not on purpose.
    public let gaps: [LineageGap]
    /// What is missing among them on purpose.
    public let removed: [LineageGap]
    /// Segments among them that can't be read.
    public let unreadable: [UnreadableWAL]
    /// Timelines whose histories are missing or damaged.
    public let lost: [LostHistory]

    /// Whether nothing is missing but what is missing on purpose.
    public var isWhole: Bool { gaps.isEmpty && unreadable.isEmpty && lost.isEmpty }
}
