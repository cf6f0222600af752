public import WAL

/// What the replayed WAL says about the server that wrote it, as far as it matters to the one that replays it.
public struct ServerChanges: Hashable, Sendable {
    /// As far as summaries tell: those of earlier versions don't.
    public var tablespaces: [SegmentFacts.TablespaceCreation] = []
    public var parameters: [ParameterChange] = []

    public init() {}

    public mutating func add(_ facts: SegmentFacts) {
        tablespaces += facts.tablespaceCreations
        parameters += facts.parameterChanges
    }

    /// Those of a stretch of the WAL.
    func within(_ range: Range<LSN>) -> ServerChanges {
        var changes = ServerChanges()
        changes.tablespaces = tablespaces.filter { range.contains($0.lsn) }
        changes.parameters = parameters.filter { range.contains($0.lsn) }
        return changes
    }

    /// Settings that a server that answers queries while it recovers must not have lower than the WAL's
    /// (`CheckRequiredParameterValues`): the highest values in it. Until then it would stop, or wait for ever.
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
