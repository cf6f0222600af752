import Archiving
public import Configuration
import DataDirectory
public import Planning
import Platform
import Recovery
import Repository
public import TableRecovery

/// The tables to recover, the target, and the destinations.
public struct TableRecoveryOrder: Sendable {
    /// At least one, all of one database.
    public var tables: [TablePattern]
    public var target: TargetRequest
    /// At least one, except for a plan.
    public var destinations: [TableRecoveryRequest.Destination] = []
    public var method: FileSelection.Method = .filteredWAL
    /// The parts new tables get beyond columns, constraints, indexes, sequences, statistics, comments, owner and
    /// grants.
    public var parts = SchemaParts()

    public init(_ tables: [TablePattern], _ target: TargetRequest) { (self.tables, self.target) = (tables, target) }
}

/// Recovers tables only.
public struct TableRecoveryJob {
    public let plan: Plan
    /// Why the target may not be the intended one, as a sentence.
    public let doubt: String?
    /// The duration of planning.
    public let planSeconds: Double
    /// What had to be assumed of the archive, as sentences.
    public var remarks: [String] { archive.remarks }
    /// The cluster's time zone, for local times; nil for the machine's.
    public var zone: String? { cluster.timezone }
    private let archive: RecoveryArchive
    private let order: TableRecoveryOrder
    private let cluster: ClusterConfiguration
    private let context: JobContext

    /// Plans.
    /// - Throws: `Unreachable`, `NoDropFound`, and what reading the archive throws.
    public init(
        _ order: TableRecoveryOrder, of cluster: ClusterConfiguration, _ context: JobContext = JobContext()
    ) throws {
        (self.order, self.cluster, self.context) = (order, cluster, context)
        let began = Clock.monotonic
        let planner = try TargetPlanner(order.target, of: cluster, context)
        archive = planner.archive
        (plan, doubt) = try planner.plan()
        planSeconds = Double(Clock.monotonic - began) / 1e9
    }

    /// - Throws: `JobCancelled`, and as `recoverTables`; the live database is unchanged then.
    public func run() throws -> TableRecoveryReport {
        var request = TableRecoveryRequest(
            tables: order.tables, plan: plan, destinations: order.destinations,
            binDirectory: cluster.binDirectory(major: plan.majorVersion), scratchDirectory: cluster.scratchDirectory,
            liveConninfo: cluster.conninfo, liveDirectory: DataDirectory(cluster.dataDirectory), jobs: cluster.jobs)
        // Only somebody who names the server on the command line means another one.
        if cluster.source("conninfo") != .flag {
            let present = try? DataDirectory(cluster.dataDirectory).controlFile().systemIdentifier
            request.liveIdentifiers = Set([archive.contents.incarnation.systemIdentifier, present].compactMap(\.self))
        }
        (request.patience, request.places) = (cluster.drillTimeout, cluster.places)
        (request.method, request.parts) = (order.method, order.parts)
        let context = context
        let report = try recoverTables(request, from: archive) { event in
            switch event {
            case .begun: context.notes.begin()
            case .note(let text): context.note(.log, text)
            case .restoring(let progress): context.progress(.restoring(progress))
            case .replaying(let done, let total, let standstill):
                var progress = ReplayProgress(done: done, total: total, seconds: 0)
                progress.standstill = standstill
                context.progress(.replaying(progress))
            case .takingOut(let table): context.progress(.takingOut(table))
            }
            try context.cancellation.check()
        }
        for table in report.tables { context.notes("table", table.name) }
        return report
    }
}
