import BaseBackup
import Catalog
import Configuration
import Platform
import Postgres
import Recovery
import Repository
import Setup
import WAL

/// A plan with the archive and the setup it was made for.
struct PlannedRecovery {
    let cluster: ClusterConfiguration
    let archive: RecoveryArchive
    let plan: Plan
    let directory: String
    let setup: RecoverySetup
    /// Where tablespaces go: location in the backup → directory to use now.
    let tablespaces: [String: String]

    static func directory(_ invocation: Invocation, _ cluster: ClusterConfiguration) throws -> String {
        try absolutePath(invocation.arguments.value("data-directory") ?? cluster.dataDirectory).withoutTrailingSlash
    }

    /// - Parameter rescued: what the old directory's pg_wal held was archived already; true, when its last segment was, as
    ///   `.partial`. Nil: it still has to be read where it lies.
    init(_ invocation: Invocation, _ cluster: ClusterConfiguration, rescued: Bool? = nil) throws {
        self.cluster = cluster
        let arguments = invocation.arguments
        // A command line that can't be understood is refused before the repository is opened.
        let byDrop = DropOptions.options.contains { arguments.has($0.name) }
        let typed = byDrop ? nil : try TargetOptions.request(arguments, zone: cluster.timezone)
        directory = try PlannedRecovery.directory(invocation, cluster)
        let isOwn = directory == cluster.dataDirectory.withoutTrailingSlash
        var setup = try RecoveryOptions.setup(invocation, cluster, isOwnDirectory: isOwn)
        tablespaces = try RecoveryOptions.tablespaces(arguments)
        archive = try RecoveryArchive(
            store: DirectoryStore(cluster.repository), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            jobs: cluster.jobs, timeline: try TargetOptions.number(arguments))
        if let timeline = archive.putAside {
            setup = try RecoveryOptions.setup(invocation, cluster, isOwnDirectory: isOwn, putAside: timeline)
        }
        self.setup = setup
        let (archive, isInPlace) = (archive, setup.isOwnDirectory)
        let catalog = PlannedRecovery.catalog(of: archive, cluster, invocation)
        plan = try choosingTimeline(invocation) { timeline in
            var request =
                try typed ?? DropOptions.request(invocation, archive, timeline) ?? PlanRequest(RecoveryTarget(.latest))
            request.target.timeline = timeline
            let usePartials = rescued == true || arguments.has("use-partial")
            return isInPlace && rescued == nil
                ? try archive.planInPlace(request, usePartials: usePartials, catalog: catalog)
                : try archive.plan(request, usePartials: usePartials, catalog: catalog)
        }
    }

    /// The catalog, up to date; nil when there is none to be had, as on a machine where nothing can be written: then the
    /// repository alone answers, more slowly.
    private static func catalog(
        of archive: RecoveryArchive, _ cluster: ClusterConfiguration, _ invocation: Invocation
    ) -> Catalog? {
        // It knows nothing of what was put aside.
        guard archive.putAside == nil else { return nil }
        do {
            let catalog = try Catalog(
                stateDirectory: cluster.stateDirectory, store: archive.store, incarnation: archive.incarnation,
                note: { message in invocation.log(.warning, message) })
            try catalog.current(jobs: cluster.jobs) { _ in }
            return catalog
        } catch {
            invocation.log(.debug, "planning without a catalog: \(error)")
            return nil
        }
    }

    var settings: [RecoverySetting] { plan.settings(for: setup, directory: directory) }

    var archiving: String {
        setup.isOwnDirectory
            ? "as configured: \"\(directory)\" is the cluster's own directory"
            : "off in \"\(directory)\", which is not the cluster's configured directory"
    }

    /// Locales, and names of what the plan's last transactions changed, as its backup knew them; nil when they can't be read.
    private var names: RelationMap? {
        try? RelationMap(
            of: plan.backup.label, of: archive.incarnation, in: archive.store, where: plan.changes)
    }

    /// What a person should know besides the plan's own warnings.
    func remarks() throws -> [String] { try remarks(names) }

    private func remarks(_ names: RelationMap?) throws -> [String] {
        let general = archive.remarks + leftOut + strayed
        guard let backup else { return general }
        return try general + places(backup).warnings
            + demands(backup, names).warnings(
                on: .this(binDirectory: cluster.binDirectory(major: plan.majorVersion)))
            + outlook(backup)
    }

    /// A standby is told no timeline, so that it follows promotions, and takes the newest one that the archive offers.
    private var strayed: [String] {
        guard setup.isStandby, !plan.isLatestTimeline else { return [] }
        return [
            "A standby follows the newest timeline that the archive offers, which is not timeline \(plan.timeline): it would "
                + "follow another one, or not start. \"tidemark segments put-aside\" takes a stray timeline out of its way."
        ]
    }

    /// What a dead server's pg_wal holds that a recovery elsewhere does without.
    private var leftOut: [String] {
        guard !setup.isOwnDirectory, let own = archive.own,
            own.waiting.segments.values.contains(where: { $0.summary.facts.lastCommit != nil }),
            let first = own.waiting.segments.keys.min(), let last = own.waiting.segments.keys.max()
        else { return [] }
        return [
            "Data directory \"\(own.path)\" holds transactions that are not archived, in "
                + (first == last ? "segment \"\(first)\"" : "segments \"\(first)\" to \"\(last)\"")
                + "; this recovery does without them. A recovery in its place archives them first."
        ]
    }

    /// - Parameter keeping: what is in the directory already stays there and is used.
    /// - Throws: what this host or the command line makes impossible, before anything is touched.
    func refuseWhatCannotBe(keeping: Bool) throws {
        _ = try conninfo()
        guard let backup else { return }
        try demands(backup, nil).refuseTooLow()
        try places(backup).check(keeping: keeping)
        _ = try outlook(backup)
    }

    private var backup: BackupDescription? { archive.backups.backup(plan.backup.label) }
    private func places(_ backup: BackupDescription) -> RecoveryPlaces {
        RecoveryPlaces(plan, backup, directory: directory, mapping: tablespaces)
    }
    private func outlook(_ backup: BackupDescription) throws -> [String] {
        try configurationOutlook(backup, directory: directory, setup: setup) { path in
            try backupHolds(path, backup: backup.label, of: archive.incarnation, in: archive.store)
        }
    }
    private func demands(_ backup: BackupDescription, _ names: RelationMap?) -> HostDemands {
        HostDemands(original: backup.settings, chosen: setup.extra, databases: names?.databases ?? [])
    }

    func show(_ invocation: Invocation) throws {
        let names = names
        let remarks = try remarks(names)
        let touched = names.map(plan.changedTables) ?? [:]
        let estimate = try RecoveryRates.recorded(of: archive.incarnation, in: archive.store)?.estimate(plan)
        if invocation.json {
            try invocation.print(
                json: PlanDocument(
                    plan, settings: settings, archiving: setup.isOwnDirectory, touched: touched,
                    estimate: estimate, remarks: remarks))
        } else {
            invocation.print(
                PlanText(
                    plan: plan, settings: settings, archiving: archiving, zone: cluster.timezone,
                    touched: touched, estimate: estimate, remarks: remarks
                ).text)
        }
    }
}

/// A refusal, with its exit status.
struct Unreachable: Explained, ExitStatusProviding {
    let refusal: PlanRefusal
    var message: String { refusal.message }
    var detail: String? { refusal.detail }
    var hint: String? { refusal.hint }
    var exitStatus: ExitStatus {
        switch refusal.reason {
        case .unknownBackup: .failure
        default: .unreachable
        }
    }
}

extension PlannedRecovery {
    /// How to talk to the recovered server: as configured, but through its own socket.
    func conninfo() throws -> ConnectionString {
        let effective = Dictionary(settings.map { ($0.name, $0.value) }) { $1 }
        var words = try ConnectionString(cluster.conninfo)
        if let sockets = effective["unix_socket_directories"], let first = sockets.split(separator: ",").first {
            return words.at(socketDirectory: String(first), port: effective["port"])
        }
        if let port = effective["port"] { words["port"] = port }
        return words
    }
}
