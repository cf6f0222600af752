public import Postgres
public import Recovery

/// The result of a recovery.
public struct RecoverReport: Sendable {
    public let planned: PlannedRecovery
    /// Nil when a resumed recovery had restored everything before.
    public let prepared: PreparedRecovery?
    public let server: ServerProcess
    /// Nil when no server was started.
    public let result: RecoveryResult?
    /// Sentences about prepared transactions that are pending.
    public let pending: [String]
}
