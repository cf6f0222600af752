import Archiving
public import Configuration
import DataDirectory
import Planning
import Platform
import Postgres
public import Recovery
import Repository
import WAL

/// Carries out a recovery: looks at the directory it goes to, plans, and then restores, starts and follows the server,
/// leaving a state from which it can be resumed at every step.
///
/// Between `plan` and `run` whoever gave the order can say no; nothing is changed until then, but that a dead server's
/// WAL is archived.
public struct RecoverJob {
    public let order: RecoveryOrder
    /// What is in the directory now, and gives place; nil when nothing of worth is there.
    public let old: OldDirectory?
    private let cluster: ClusterConfiguration
    private let installation: Installation
    private let context: JobContext
    private let interrupted: InterruptedRecovery?

    /// - Throws: `NestedPlaces`, `TargetInUse`, and `Problem` when the directory cannot give place to the recovery.
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
    /// - Parameter order: made of the words that were kept; its directory is that of the recovery.
    /// - Throws: as above.
    public init(
        resuming interrupted: InterruptedRecovery, _ order: RecoveryOrder, of cluster: ClusterConfiguration,
        _ installation: Installation, _ context: JobContext = JobContext()
    ) throws {
        (self.order, self.cluster, self.installation, self.context) = (order, cluster, installation, context)
        self.interrupted = interrupted
        // Nothing was done yet when it was interrupted, or somebody has put a directory there since: a server may have run on
        // it, and has committed what the first call knew nothing of.
        old = interrupted.state.phase == .restoring ? try OldDirectory(order.directory) : nil
    }

    /// Whether somebody should agree before the job runs: something is going to be done that nobody has agreed to yet.
    public var wantsConsent: Bool { interrupted == nil || old != nil }

    /// Whether it takes the place of the cluster's own directory, and something is in it.
    public var replacesOwn: Bool { old != nil && order.isInPlace(of: cluster) }

    /// Plans, and touches nothing.
    /// - Throws: as `PlannedRecovery.init`.
    public func preview() throws -> PlannedRecovery {
        try planned(rescued: interrupted != nil && old == nil ? wasRescued : nil)
    }

    /// Finds what makes the recovery impossible on this host, once a preview is made.
    public func refuseWhatCannotBe(_ planned: PlannedRecovery) throws {
        // One that is resumed has been through this.
        guard interrupted == nil else { return }
        try planned.refuseWhatCannotBe(keeping: old == nil || order.isDelta)
    }

    /// Plans, archives what only the old directory holds, and plans with that.
    /// - Throws: as `PlannedRecovery.init`, and what makes the recovery impossible on this host: then nothing was archived.
    ///   `NotRescued` and `Contradiction`.
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

    /// What an old directory's WAL held was archived by the call that was interrupted, and the server's partial may be part
    /// of it. A copy beside the cluster was restored without.
    private var wasRescued: Bool? { order.isInPlace(of: cluster) ? true : nil }

    private func planned(rescued: Bool?, _ context: JobContext? = nil) throws -> PlannedRecovery {
        try PlannedRecovery(order, of: cluster, installation, context ?? self.context, rescued: rescued)
    }

    /// Carries the plan out.
    ///
    /// - Throws: `RecoveryInProgress`; `Problem` when the directory is another one than when the recovery was planned;
    ///   `UnfinishedRestore`, `RecoveryFailure`, `JobCancelled`, and what restoring and following throw. The state that is
    ///   kept then says how far it has come.
    public func run(_ planned: PlannedRecovery) throws -> RecoverReport {
        let claim = try interrupted?.claim() ?? RecoveryClaim(order.directory, in: cluster.state)
        defer { withExtendedLifetime(claim) {} }
        // One whose restore was complete is looked at before it is started.
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
