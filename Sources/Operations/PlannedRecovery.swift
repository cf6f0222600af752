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
    init(
        _ order: RecoveryOrder, of cluster: ClusterConfiguration, _ installation: Installation, _ context: JobContext,
        rescued: Bool?, undelivered: [WALBreak] = []
    ) throws {
        self.cluster = cluster
        directory = order.directory
        (isDelta, starts, tablespaces) = (order.isDelta, order.starts, order.tablespaces)
        try order.checkPlaces(of: cluster)
        if order.isInPlace(of: cluster) {
            try ForeignDirectory.refuse(directory, of: cluster.name, in: cluster.openRepository())
        }
        let planner = try TargetPlanner(order.followed, of: cluster, context, undelivered: undelivered)
        archive = planner.archive
        var setup = order.setup(of: cluster, installation, putAside: archive.putAside)
        let found: TargetPlanner.Outcome
        do {
            found = try planner.plan(
                isInPlace: setup.isOwnDirectory && rescued == nil, usesPartials: rescued == true, partialsBy: nil)
        } catch let unreachable as Unreachable {
            let push = installation.serverCommands(for: cluster).archive
            throw unreachable.naming(
                remediesIn: planner.archive.contents, dataDirectory: cluster.dataDirectory, pushCommand: push)
        }
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
    private var names: RelationMap? {
        try? RelationMap(of: plan.backup.label, of: archive.contents, where: plan.changes)
    }

    /// Remarks besides the plan's own warnings.
    public func remarks() throws -> [String] { try remarks(names) }

    private func remarks(_ names: RelationMap?) throws -> [String] {
        let databases = Dictionary((names?.databases ?? []).map { ($0.oid, $0.name) }) { first, _ in first }
        let pending = plan.pending.map { PendingTransaction($0, databases: databases).sentence }
        let general =
            try archive.remarks + damaged + readAhead + leftOut + strayed + divergent + numbered() + notLoaded
            + streamed + unconfined
            + pending
        guard let backup else { return general }
        let places = places(backup)
        return try general + places.warnings + places.tablespaces.remarks(directory: directory)
            + links(backup).remarks(isDelta: isDelta) + OldMounts(in: directory).remarks(isDelta: isDelta)
            + demands(backup, names).warnings(
                on: .this(binDirectory: cluster.binDirectory(major: plan.majorVersion)))
            + outlook(backup)
    }

    /// Objects that the plan needs and that a verification found damaged. A recovery ends there, or fails.
    private var damaged: [String] {
        let known: [KnownDamage]
        do { known = try KnownDamage.find(of: archive.contents) } catch {
            return ["It is not known whether this recovery needs what is known to be damaged: \(error)."]
        }
        let needed = Set(plan.segmentNames)
        return known.filter { $0.segment.map(needed.contains) ?? ($0.name == plan.backup.label) }.map {
            $0.segment == nil
                ? "This recovery restores what is damaged: \($0.sentence)."
                : "This recovery may not be able to replay all of its WAL: \($0.sentence)."
        }
    }

    /// What a server would fail to read though the recovery doesn't need it.
    private var readAhead: [String] {
        guard let fault = plan.faultAhead else { return [] }
        let what = "\(capitalized(fault.sentence)), which is after the end of this recovery: \(fault.reason)"
        if setup.isStandby {
            return ["\(what) A standby continues to replay, and stops there."]
        }
        let chosen = setup.extra.last { $0.name == "recovery_prefetch" }?.value
        guard let chosen, chosen != "off" else {
            return [
                "\(what) PostgreSQL reads ahead of replay, and would stop with an error: the recovery is made with "
                    + "recovery_prefetch = off."
            ]
        }
        return [
            "\(what) PostgreSQL reads ahead of replay, and will stop with an error: leave out --set "
                + "recovery_prefetch=\(shellQuoted(chosen))."
        ]
    }

    /// Libraries that a copy does without.
    private var notLoaded: [String] {
        guard !setup.isOwnDirectory, !setup.extra.contains(where: { $0.name == "shared_preload_libraries" }) else {
            return []
        }
        return [setup.libraryRemark].compactMap { $0 }
    }

    /// WAL that a command of the user's own delivers as it was archived.
    private var unconfined: [String] {
        guard !setup.isOwnDirectory, let chosen = setup.extra.last(where: { $0.name == "restore_command" })?.value,
            !chosen.contains("--confine-tablespaces")
        else { return [] }
        return [
            "Tablespaces that the WAL creates are created at the same paths here, because --set restore_command delivers it "
                + "unchanged. On the original's host, these would be the original's directories: there, use "
                + "the option --confine-tablespaces of archive-get."
        ]
    }

    /// WAL that a standby gets from its primary instead of the archive.
    private var streamed: [String] {
        guard !setup.isOwnDirectory, setup.isStandby,
            setup.extra.last(where: { $0.name == "primary_conninfo" })?.value.isEmpty == false
        else { return [] }
        return [
            "A tablespace that the primary creates while this standby streams from it is created at the same path here. On the "
                + "primary's own host, that would be the primary's directory: don't set primary_conninfo there."
        ]
    }

    /// A standby gets no target timeline, so that it follows promotions; it takes the newest one that the archive
    /// offers.
    private var strayed: [String] {
        guard setup.isStandby, !plan.isLatestTimeline else { return [] }
        return [
            "A standby follows the newest timeline in the archive, which is not timeline \(plan.timeline): it would "
                + "follow another one, or not start. If no server is on the newer one, "
                + "\"\(runnable("tidemark segments put-aside"))\" takes it out of the way."
        ]
    }

    /// What the old directory alone holds, where the standby that takes its place follows another timeline.
    private var divergent: [String] {
        guard setup.isOwnDirectory, setup.isStandby, let own = archive.own,
            !plan.path.contains(own.place.timeline, upTo: own.place.position)
        else { return [] }
        return [
            "\(own.place.witness) on timeline \(own.place.timeline), up to LSN \(own.place.position). The standby follows "
                + "timeline \(plan.timeline), and does not include all of that."
        ]
    }

    /// PostgreSQL takes the first number without a history in the archive (`findNewestTimeLine`, timeline.c). A copy
    /// that was promoted without archiving may have taken it before, and have archived its segments since.
    private func numbered() throws -> [String] {
        guard setup.isOwnDirectory, !setup.isStandby else { return [] }
        let contents = archive.contents
        var next = plan.timeline
        repeat {
            guard next.rawValue < .max else { return [] }
            next = TimelineID(next.rawValue + 1)
        } while try contents.has(.history(next)) || contents.rebuiltHistory(next) != nil
        guard try !contents.segments(timeline: next).isEmpty else { return [] }
        return [
            "The recovered server will take number \(next) for its timeline. The archive has segments of another timeline "
                + "\(next), without its history: archiving will stop at the first segment that differs. To take them out "
                + "of the way first: " + runnable("tidemark segments put-aside \(next.fileNamePart).history --certain")
        ]
    }

    /// WAL in a dead server's pg_wal that a recovery elsewhere does without.
    private var leftOut: [String] {
        guard !setup.isOwnDirectory, let own = archive.own,
            own.waiting.segments.values.contains(where: { $0.summary.facts.lastCommit != nil }),
            let first = own.waiting.segments.keys.min(), let last = own.waiting.segments.keys.max()
        else { return [] }
        return [
            "Data directory \"\(own.path)\" has transactions that are not archived, in "
                + (first == last ? "segment \"\(first)\"" : "segments \"\(first)\" to \"\(last)\"")
                + "; this recovery does not include them. A recovery in its place archives them first."
        ]
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

    private func links(_ backup: BackupDescription) throws -> LinkOutlook {
        LinkOutlook(
            backup, directory: directory, exclude: try NamedExclusions(cluster.exclude),
            isCopy: !setup.isOwnDirectory)
    }
    private var backup: BackupDescription? { archive.backups.backup(plan.backup.label) }
    public var tablespacePlaces: [CopyTablespaces.Place] { backup.map { places($0).tablespaces.places } ?? [] }
    private func places(_ backup: BackupDescription) -> RecoveryPlaces {
        RecoveryPlaces(
            plan, backup, directory: directory, mapping: tablespaces, isCopy: !setup.isOwnDirectory, living: living)
    }
    private func outlook(_ backup: BackupDescription) throws -> [String] {
        try configurationOutlook(backup, directory: directory, setup: setup) { path in
            try backupHolds(path, backup: backup.label, of: archive.contents)
        }
    }
    private func demands(_ backup: BackupDescription, _ names: RelationMap?) -> HostDemands {
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
