public import WAL

/// Changes to the server in the replayed WAL that concern the server that replays it.
public struct ServerChanges: Hashable, Sendable {
    /// As far as summaries show: those of earlier versions don't.
    public var tablespaces: [SegmentFacts.TablespaceCreation] = []
    public var parameters: [ParameterChange] = []

    public init() {}

    public mutating func add(_ facts: SegmentFacts) {
        tablespaces += facts.tablespaceCreations
        parameters += facts.parameterChanges
    }

    /// The changes in a range of the WAL.
    func within(_ range: Range<LSN>) -> ServerChanges {
        var changes = ServerChanges()
        changes.tablespaces = tablespaces.filter { range.contains($0.lsn) }
        changes.parameters = parameters.filter { range.contains($0.lsn) }
        return changes
    }

    /// The minimum values of settings for replay with hot_standby (`CheckRequiredParameterValues`): the highest values
    /// in the WAL. With lower ones the server would stop, or pause for ever.
    public var demands: [String: Int64] {
        var highest: [String: Int64] = [:]
        for change in parameters {
            for (name, value) in [
                ("max_connections", change.maxConnections), ("max_worker_processes", change.maxWorkerProcesses),
                ("max_wal_senders", change.maxWALSenders),
                ("max_prepared_transactions", change.maxPreparedTransactions),
                ("max_locks_per_transaction", change.maxLocksPerTransaction),
            ] { highest[name] = max(highest[name] ?? 0, Int64(value)) }
        }
        return highest
    }
}
