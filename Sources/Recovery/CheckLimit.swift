import Platform
import Postgres
import Synchronization

/// The time that the checks of a drill may take together. When it is over, the active sessions of the drill's server
/// are terminated, and their waits reported; a server that doesn't answer is stopped. So no check waits for ever.
final class CheckLimit: Sendable {
    /// By the monotonic clock.
    let deadline: UInt64
    private let limit: Int64
    private let address: ConnectionString
    private let data: String
    private let isStopped = Mutex(false)
    private let found = Mutex<String?>(nil)
    private let worker: Monitor<Bool>

    /// - Parameters:
    ///   - milliseconds: from now on.
    ///   - address: the server that is checked.
    ///   - data: its data directory.
    init(milliseconds: Int64, at address: ConnectionString, data: String) throws {
        limit = milliseconds
        deadline = Clock.monotonic + UInt64(min(max(0, milliseconds), .max / 2_000_000)) * 1_000_000
        (self.address, self.data) = (address, data)
        worker = Monitor(false)
        _ = try Worker { [self] in
            watch()
            worker.update { $0 = true }
        }
    }

    var isOver: Bool { found.withLock { $0 != nil } }

    /// Called when the checks are done.
    /// - Returns: what was terminated, as sentences; nil when the time sufficed.
    func stop() -> String? {
        isStopped.withLock { $0 = true }
        worker.wait { $0 ? .ready(()) : .notYet }
        return found.withLock { $0 }
    }

    private func watch() {
        while Clock.monotonic < deadline {
            if isStopped.withLock({ $0 }) { return }
            Clock.sleep(milliseconds: 20)
        }
        let sentence =
            "The checks were ended: they took longer than drill_timeout (\(durationText(milliseconds: limit)))."
        found.withLock { $0 = sentence }
        // A server that hangs doesn't answer this query either.
        let answer = Monitor<String?>(nil)
        _ = try? Worker { [address] in
            let words = CheckLimit.work(address)
            answer.update { $0 = words }
        }
        if !until(10_000, { answer.update { $0 } != nil }) { return endServer("The server did not answer.") }
        let work = answer.update { $0 } ?? ""
        found.withLock { $0 = "\(sentence) \(work)" }
        _ = try? Worker { [self] in
            while !isStopped.withLock({ $0 }) {
                let ask = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \(CheckLimit.others)"
                _ = try? Connection(ownServer: address).query(ask)
                Clock.sleep(milliseconds: 200)
            }
        }
        if !until(10_000, { isStopped.withLock { $0 } }) { endServer(work) }
    }

    private func endServer(_ words: String) {
        found.withLock { $0 = "\($0 ?? "") \(words) The drill's server was ended." }
        try? ScratchProcesses(data).end()
    }

    private func until(_ milliseconds: Int, _ condition: () -> Bool) -> Bool {
        for _ in 0..<(milliseconds / 20) {
            if condition() { return true }
            Clock.sleep(milliseconds: 20)
        }
        return condition()
    }

    private static let others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"

    /// What the server's sessions are doing, as sentences.
    private static func work(_ address: ConnectionString) -> String {
        let ask = """
            SELECT query, wait_event_type || ': ' || wait_event FROM pg_stat_activity
            WHERE \(others) AND state = 'active' ORDER BY query_start LIMIT 3
            """
        do {
            return try Connection(ownServer: address).query(ask).values.map { row in
                let query = (row[0] ?? "").split { $0.isWhitespace }.joined(separator: " ").prefix(200)
                return "Query \"\(query)\" was "
                    + (row[1].map { "waiting for \($0)." } ?? "running.")
            }.joined(separator: " ")
        } catch { return "The server could not be asked what the checks were doing: \(sentences(of: error))" }
    }
}
