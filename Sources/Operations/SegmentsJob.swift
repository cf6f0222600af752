public import Catalog
public import Configuration
import Jobs
public import Monitoring
public import Recovery
public import Retention
import Setup
public import WAL

/// Reports the archived WAL, its gaps, and the commands that close them.
public struct SegmentsJob {
    private let cluster: ClusterConfiguration
    private let policy: RetentionPolicy
    private let installation: Installation
    private let context: JobContext

    /// - Parameter policy: decides which segments are missing on purpose.
    public init(
        of cluster: ClusterConfiguration, policy: RetentionPolicy, _ installation: Installation,
        _ context: JobContext = JobContext()
    ) {
        (self.cluster, self.policy, self.installation, self.context) = (cluster, policy, installation, context)
    }

    /// - Throws: what reading the repository throws.
    public func run() throws -> SegmentsReport {
        let access = try CatalogAccess(of: cluster, context)
        let (stretches, gaps) = try access.ask {
            try $0.report(backups: access.spans, expired: access.expired(by: policy))
        }
        let removals = try removals(of: gaps, access)
        let lost = try access.lostHistories()
        let push = installation.serverCommands(for: cluster).archive
        return SegmentsReport(
            cluster: cluster.name, stretches: stretches,
            gaps: try gaps.map { gap in
                let remedy =
                    try gap.isExpired
                    ? nil
                    : gap.missing.flatMap {
                        try GapRemedy(
                            $0, in: access.archive, dataDirectory: cluster.dataDirectory, pushCommand: push)
                    }
                return SegmentsReport.Gap(gap: gap, removed: removals[gap], remedy: remedy)
            }, lost: lost, contradiction: access.contradiction())
    }

    /// When `expire` removed the WAL in gaps, according to its records.
    private func removals(of gaps: [WALGap], _ access: CatalogAccess) throws -> [WALGap: Moment] {
        guard gaps.contains(where: \.isExpired) else { return [:] }
        let expired = ExpiredWAL(try JobJournal(of: access.archive).contents().jobs)
        var removals: [WALGap: Moment] = [:]
        for gap in gaps where gap.isExpired {
            guard let missing = gap.missing else { continue }
            let times = missing.ranges.map {
                expired.removal(of: $0.first, to: $0.last, segmentSize: missing.segmentSize)
            }
            if times.allSatisfy({ $0 != nil }) { removals[gap] = times.compactMap { $0 }.max() }
        }
        return removals
    }
}

/// A cluster's archived WAL, and its gaps.
public struct SegmentsReport: Sendable {
    public struct Gap: Sendable {
        public let gap: WALGap
        /// When `expire` removed the last segment of the gap.
        public let removed: Moment?
        /// The commands that close it.
        public let remedy: GapRemedy?
    }
    public let cluster: String
    public let stretches: [WALStretch]
    public let gaps: [Gap]
    /// Timelines whose histories are missing or damaged.
    public let lost: [LostHistory]
    /// Where the archive has another server's WAL under the names of that of the cluster's own.
    public let contradiction: Contradiction?

    /// Whether nothing is missing but what is missing on purpose.
    public var isWhole: Bool { gaps.allSatisfy(\.gap.isExpired) && lost.isEmpty && contradiction == nil }
}
