import Archiving
public import Configuration
import DataDirectory
import Planning
import Platform
import Postgres
public import Recovery
import Repository
import WAL

/// Carries out a recovery: examines its directory, plans, and then restores, starts and follows the server. At every
/// step it leaves a state from which it can be resumed.
///
/// The caller may ask the user between `plan` and `run`; nothing is changed before `run`, except that a dead server's
/// WAL is archived.
public struct RecoverJob {
    public let order: RecoveryOrder
    /// The data directory that is replaced; nil when there is none.
    public let old: OldDirectory?
    private let cluster: ClusterConfiguration
    private let installation: Installation
    private let context: JobContext
    private let interrupted: InterruptedRecovery?

    /// - Throws: `NestedPlaces`, `TargetInUse`, and `Problem` when the directory cannot be replaced.
    public init(
        _ order: RecoveryOrder, of cluster: ClusterConfiguration, _ installation: Installation,
        _ context: JobContext = JobContext()
    ) throws {
        (self.order, self.cluster, self.installation, self.context) = (order, cluster, installation, context)
        interrupted = nil
        try order.checkPlaces(of: cluster)
        old = try OldDirectory(order.directory)
        try refuseWhatIsThere()
    }

    /// Continues an interrupted recovery.
    ///
    /// - Parameter order: the recorded one, perhaps with other settings.
    /// - Throws: as above.
    public init(
        resuming interrupted: InterruptedRecovery, _ order: RecoveryOrder, of cluster: ClusterConfiguration,
        _ installation: Installation, _ context: JobContext = JobContext()
    ) throws {
        (self.order, self.cluster, self.installation, self.context) = (order, cluster, installation, context)
        self.interrupted = interrupted
        // The interrupted call had done nothing yet, or the directory was put there since: a server may have run on it,
        // and have committed transactions of which the first call knew nothing.
        old = interrupted.state.phase == .restoring ? try OldDirectory(order.directory) : nil
    }

    /// Whether the user should be asked before the job runs, since something is done that was not confirmed yet.
    public var wantsConsent: Bool { interrupted == nil || old != nil }

    /// Whether it replaces the cluster's own, non-empty directory.
    public var replacesOwn: Bool { old != nil && order.isInPlace(of: cluster) }

    /// Plans, and changes nothing.
    /// - Throws: as `PlannedRecovery.init`.
    public func preview() throws -> PlannedRecovery {
        try planned(rescued: interrupted != nil && old == nil ? wasRescued : nil)
    }

    /// After a preview, throws what makes the recovery impossible on this host.
    public func refuseWhatCannotBe(_ planned: PlannedRecovery) throws {
        // A resumed recovery has passed these checks.
        guard interrupted == nil else { return }
        try planned.refuseWhatCannotBe(keeping: old == nil || order.isDelta)
    }

    /// Plans, archives what only the old directory holds, and plans with that. When it replaces a directory, it reads
    /// the plan's WAL first: damage that nobody knows of yet counts as well.
    /// - Throws: as `PlannedRecovery.init`, and what makes the recovery impossible on this host: then nothing was
    ///   archived. `NotRescued` and `Contradiction`.
    public func plan() throws -> PlannedRecovery {
        if interrupted != nil {
            guard old != nil else { return try planned(rescued: wasRescued) }
            try refuseWhatIsThere()
        }
        var damaged: [WALBreak] = []
        func possible(_ rescued: Bool?, _ context: JobContext) throws -> PlannedRecovery {
            let planned = try planned(rescued: rescued, context, damaged)
            // Found out before anybody is asked.
            try planned.refuseWhatCannotBe(keeping: old == nil || order.isDelta)
            return planned
        }
        func readable(_ rescued: Bool?, _ context: JobContext) throws -> PlannedRecovery {
            var proven: Set<SegmentName> = []
            while true {
                let planned = try possible(rescued, context)
                let found = try planned.undelivered(&proven, context)
                if found.isEmpty { return planned }
                for fault in found {
                    context.note(.warning, fault.sentence, detail: fault.reason)
                }
                damaged += found
            }
        }
        guard replacesOwn else { return try old == nil ? possible(nil, context) : readable(nil, context) }
        let context = context.withoutRepeating()
        // A recovery that can't be leaves the repository as it was. What waits in pg_wal counts for it as archived.
        let first = try possible(nil, context)
        if let contradiction = first.archive.own?.contradiction {
            // The plan ends before the other server's WAL. What the server has from there on can't be archived.
            guard !order.isDelta else { throw contradiction }
            context.note(
                .warning, "nothing of pg_wal in \"\(order.directory)\" is archived",
                detail: "\(contradiction.message).",
                hint: "The recovery ends before that. The renamed directory keeps what this server wrote.")
            return first
        }
        let rescued = try RescueJob(cluster: cluster, context: context, isDelta: order.isDelta).run(order.directory)
        return try readable(rescued, context)
    }

    /// The interrupted call has archived the old directory's WAL, and the plan may use the server's `.partial`. For a
    /// copy beside the cluster it archived nothing.
    private var wasRescued: Bool? { order.isInPlace(of: cluster) ? true : nil }

    private func planned(
        rescued: Bool?, _ context: JobContext? = nil, _ undelivered: [WALBreak] = []
    ) throws -> PlannedRecovery {
        try PlannedRecovery(
            order, of: cluster, installation, context ?? self.context, rescued: rescued, undelivered: undelivered,
            isResumed: interrupted != nil)
    }

    /// Carries the plan out.
    ///
    /// - Throws: `RecoveryInProgress`; `Problem` when the directory has changed since the recovery was planned;
    ///   `UnfinishedRestore`, `RecoveryFailure`, `JobCancelled`, and what restoring and following throw. The recorded
    ///   state then has the progress.
    public func run(_ planned: PlannedRecovery) throws -> RecoverReport {
        let claim = try interrupted?.claim() ?? RecoveryClaim(order.directory, in: cluster.state)
        defer { withExtendedLifetime(claim) {} }
        // A directory that was completely restored is checked before it is started.
        if interrupted?.state.phase != .prepared {
            try refuseIfServed()
            try OldDirectory.refuseIfChanged(order.directory, since: old)
        }
        var execution = RecoveryExecution(
            order: order, planned: planned, context: context,
            state: interrupted?.state
                ?? RecoveryState(order.recorded(following: planned), directory: order.directory))
        return try execution.run(old: old)
    }

    private func refuseWhatIsThere() throws {
        if old != nil, !order.isInPlace(of: cluster), !order.isDelta, !order.keepsOld { try refuseToRename() }
        if !order.isDelta { try old?.refuseIfMounted() }
        try refuseIfServed()
    }

    private func refuseIfServed() throws {
        if replacesOwn { try Recovery.refuseIfServed(order.directory, by: cluster.conninfo) }
    }

    private func refuseToRename() throws {
        let isRestored = (try? RecoveryState(of: order.directory, in: cluster.state))??.phase == .prepared
        throw Problem(
            "cannot recover into directory \"\(order.directory)\"",
            detail: isRestored
                ? "A recovery into it was interrupted after everything had been restored." : "It is not empty.",
            hint: isRestored
                ? "Continue with \"\(resumeCommand(order.directory))\", or rename the directory with --keep-old and start again."
                : "Name an empty directory or one that does not exist yet; or rename this one with --keep-old.")
    }
}
