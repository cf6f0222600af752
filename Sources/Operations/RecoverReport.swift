public import Postgres
public import Recovery

/// What a recovery came to.
public struct RecoverReport: Sendable {
    public let planned: PlannedRecovery
    /// Nil when a resumed recovery had restored everything before.
    public let prepared: PreparedRecovery?
    public let server: ServerProcess
    /// Nil when no server was started.
    public let result: RecoveryResult?
    /// About prepared transactions that are pending, as sentences.
    public let pending: [String]
}
