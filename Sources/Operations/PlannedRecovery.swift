import Archiving
import Backups
public import Configuration
import DataDirectory
import Monitoring
public import Planning
import Platform
public import Postgres
public import Recovery
import Repository
import Restoring
import Setup
import WAL

/// A plan, with the archive and the setup it was made for.
public struct PlannedRecovery: Sendable {
    public let cluster: ClusterConfiguration
    let archive: RecoveryArchive
    public let plan: Plan
    public let directory: String
    /// Whether existing files in it are brought to the backup's state.
    let isDelta: Bool
    /// Whether a server is started on it.
    private let starts: Bool
    public let setup: RecoverySetup
    /// Where tablespaces go: location in the backup → directory to use now.
    let tablespaces: [String: String]

    /// Plans a recovery. Nothing is changed, and the plan is no promise: `outlook` shows what may be impossible on this
    /// host or in this directory.
    ///
    /// - Throws: `NestedPlaces`, `Unreachable`, and what reading the archive throws.
    public init(
        _ order: RecoveryOrder, of cluster: ClusterConfiguration, _ installation: Installation,
        _ context: JobContext = JobContext()
    ) throws {
        try self.init(order, of: cluster, installation, context, rescued: nil)
    }

    /// - Parameters:
    ///   - rescued: set when the WAL in the old directory's pg_wal has been archived; true when its last segment was,
    ///     as `.partial`. Nil when it is still read in place.
    ///   - undelivered: archived segments that were found not to be delivered to a server.
    ///   - isResumed: whether the directory isn't the original's any more; the order says what was decided by it.
    init(
        _ order: RecoveryOrder, of cluster: ClusterConfiguration, _ installation: Installation, _ context: JobContext,
        rescued: Bool?, undelivered: [WALBreak] = [], isResumed: Bool = false
    ) throws {
        self.cluster = cluster
        directory = order.directory
        (isDelta, starts, tablespaces) = (order.isDelta, order.starts, order.tablespaces)
        try order.checkPlaces(of: cluster)
        if order.isInPlace(of: cluster) {
            try ForeignDirectory.refuse(directory, of: cluster.name, in: cluster.openRepository())
        }
        let planner = try TargetPlanner(
            order.followed, of: cluster, context, undelivered: undelivered,
            replaced: order.isInPlace(of: cluster) && !isResumed ? order.directory : nil)
        archive = planner.archive
        var setup = order.setup(of: cluster, installation, putAside: archive.putAside)
        let found = try planner.plan(
            isInPlace: setup.isOwnDirectory && rescued == nil, usesPartials: rescued == true, partialsBy: nil)
        plan = found.plan
        if order.target.isBeforeDrop, order.action == .pause {
            context.note(
                .warning, "a paused server still holds the lock of the transaction that dropped the table",
                detail: "Queries of the table would wait until the server is promoted.",
                hint: "Leave out --target-action pause.")
        }
        setup.original = archive.backups.backup(plan.backup.label)?.settings ?? [:]
        self.setup = setup
    }

    public var settings: [RecoverySetting] { plan.settings(for: setup, directory: directory) }

    /// The cluster's own data directory, when the recovery goes elsewhere.
    var living: String? {
        setup.isOwnDirectory ? nil : cluster.dataDirectory
    }

    /// Locales, and the names of what the plan's last transactions changed, from its backup; nil when they can't be
    /// read.
    var names: RelationMap? {
        try? RelationMap(of: plan.backup.label, of: archive.contents, where: plan.changes)
    }

    /// - Parameter keeping: whether existing files in the directory stay and are used.
    /// - Throws: what this host or the command line makes impossible, before anything is changed.
    func refuseWhatCannotBe(keeping: Bool) throws {
        _ = try conninfo()
        if starts {
            try ServerProcess.checkName(directory)
            try ServerProcess.checkPrograms(
                in: cluster.binDirectory(major: plan.majorVersion), of: plan.majorVersion)
        }
        guard let backup else { return }
        try demands(backup, nil).refuseTooLow()
        if !keeping { try refuseSharedTablespaces(of: directory, living: living, backup) }
        try places(backup).check(keeping: keeping)
        _ = try outlook(backup)
    }

    /// The plan's segments that no server would get from the archive, whatever their heads say. Reads all of them once,
    /// and decompresses nothing.
    /// - Parameter proven: segments that are known to be delivered; gets those that were read.
    /// - Throws: `JobCancelled`, and what makes reading impossible.
    func undelivered(_ proven: inout Set<SegmentName>, _ context: JobContext) throws -> [WALBreak] {
        let (partials, archive) = (Set(plan.partials), archive.contents)
        let names = plan.segmentNames.filter { !proven.contains($0) && !plan.waiting.contains($0) }
        var found: [WALBreak] = []
        var done = 0
        try mapInOrder(
            names, workers: max(1, cluster.jobs), ahead: max(1, cluster.jobs) * 2,
            transform: { name in
                try deliveryFault(of: partials.contains(name) ? .partial(name) : .segment(name), archive)
            },
            consume: { fault in
                if let fault { found.append(fault) }
                done += 1
                context.progress(.verifyingWAL(done: done, total: names.count))
                try context.cancellation.check()
            })
        proven.formUnion(names)
        proven.subtract(found.map(\.segment))
        return found
    }

    func links(_ backup: BackupDescription) throws -> LinkOutlook {
        LinkOutlook(
            backup, directory: directory, exclude: try NamedExclusions(cluster.exclude),
            isCopy: !setup.isOwnDirectory)
    }
    var backup: BackupDescription? { archive.backups.backup(plan.backup.label) }
    public var tablespacePlaces: [CopyTablespaces.Place] { backup.map { places($0).tablespaces.places } ?? [] }
    func places(_ backup: BackupDescription) -> RecoveryPlaces {
        RecoveryPlaces(
            plan, backup, directory: directory, mapping: tablespaces, isCopy: !setup.isOwnDirectory, living: living)
    }
    func outlook(_ backup: BackupDescription) throws -> [String] {
        try configurationOutlook(backup, directory: directory, setup: setup) { path in
            try backupHolds(path, backup: backup.label, of: archive.contents)
        }
    }
    func demands(_ backup: BackupDescription, _ names: RelationMap?) -> HostDemands {
        HostDemands(original: backup.settings, chosen: settings, databases: names?.databases ?? [], plan: plan)
    }

    /// Facts about the plan for the user, before it is carried out.
    public func outlook() throws -> Outlook {
        let names = names
        let remarks = try remarks(names)
        return Outlook(
            remarks: remarks, touched: names.map(plan.changedTables) ?? [:],
            estimate: try RecoveryRates.recorded(of: archive.contents)?.estimate(plan))
    }

    public struct Outlook: Sendable {
        /// Besides the plan's own warnings, as sentences.
        public let remarks: [String]
        /// The tables that the plan's last transactions changed, as far as known, by transaction.
        public let touched: [UInt32: [String]]
        /// Seconds, by the rates of earlier recoveries; nil when there is none.
        public let estimate: (restore: Double, replay: Double)?
    }
}

extension PlannedRecovery {
    /// How to connect to the recovered server: as configured, but through its own socket.
    public func conninfo() throws -> ConnectionString {
        let effective = Dictionary(settings.map { ($0.name, $0.value) }) { $1 }
        var words = try ConnectionString(cluster.conninfo)
        if let sockets = effective["unix_socket_directories"], let first = sockets.split(separator: ",").first {
            return words.at(socketDirectory: String(first), port: effective["port"])
        }
        if let port = effective["port"] { words["port"] = port }
        return words
    }
}
