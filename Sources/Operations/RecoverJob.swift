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
    /// - Parameter order: made from the recorded words; its directory is that of the recovery.
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

    /// Plans, archives what only the old directory holds, and plans with that.
    /// - Throws: as `PlannedRecovery.init`, and what makes the recovery impossible on this host: then nothing was
    ///   archived. `NotRescued` and `Contradiction`.
    public func plan() throws -> PlannedRecovery {
        if interrupted != nil {
            guard old != nil else { return try planned(rescued: wasRescued) }
            try refuseWhatIsThere()
        }
        func possible(_ rescued: Bool?, _ context: JobContext) throws -> PlannedRecovery {
            let planned = try planned(rescued: rescued, context)
            // Found out before anybody is asked.
            try planned.refuseWhatCannotBe(keeping: old == nil || order.isDelta)
            return planned
        }
        guard replacesOwn else { return try possible(nil, context) }
        let context = context.withoutRepeating()
        // A recovery that can't be leaves the repository as it was. What waits in pg_wal counts for it as archived.
        _ = try possible(nil, context)
        let rescued = try RescueJob(cluster: cluster, context: context, isDelta: order.isDelta).run(order.directory)
        return try possible(rescued, context)
    }

    /// The interrupted call has archived the old directory's WAL, and the plan may use the server's `.partial`. For a
    /// copy beside the cluster it archived nothing.
    private var wasRescued: Bool? { order.isInPlace(of: cluster) ? true : nil }

    private func planned(rescued: Bool?, _ context: JobContext? = nil) throws -> PlannedRecovery {
        try PlannedRecovery(order, of: cluster, installation, context ?? self.context, rescued: rescued)
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
        if interrupted?.state.phase != .prepared { try OldDirectory.refuseIfChanged(order.directory, since: old) }
        var execution = RecoveryExecution(
            order: order, planned: planned, context: context,
            state: interrupted?.state
                ?? RecoveryState(arguments: order.words(planned.plan.history), directory: order.directory))
        return try execution.run(old: old)
    }

    private func refuseWhatIsThere() throws {
        if old != nil, !order.isInPlace(of: cluster), !order.isDelta, !order.keepsOld { try refuseToRename() }
        if !order.isDelta { try old?.refuseIfMounted() }
    }

    private func refuseToRename() throws {
        let isRestored = try RecoveryState(of: order.directory, in: cluster.state)?.phase == .prepared
        throw Problem(
            "cannot recover into directory \"\(order.directory)\"",
            detail: isRestored
                ? "A recovery into it was interrupted after everything had been restored." : "It is not empty.",
            hint: isRestored
                ? "Continue with \"\(resumeCommand(order.directory))\", or rename the directory with --keep-old and start again."
                : "Name an empty directory or one that does not exist yet; or rename this one with --keep-old.")
    }
}
