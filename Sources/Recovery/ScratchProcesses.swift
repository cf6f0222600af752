import DataDirectory
import Glibc
import Platform

/// The processes of a scratch cluster.
struct ScratchProcesses {
    private let data: String
    private let processes: DirectoryProcesses

    init(_ data: String) throws(SystemError) {
        self.data = data
        processes = try DirectoryProcesses(data)
    }

    /// Ends them at once: nothing in a scratch cluster needs an orderly shutdown. Returns when all are gone, or can't
    /// be ended.
    ///
    /// - Parameters:
    ///   - asking: for how long, in milliseconds, to wait after SIGQUIT before SIGKILL. On a slow disk the processes
    ///     may take long to react. The server is asked once in any case, since finding the processes can take longer.
    ///   - limit: how long, in milliseconds, to wait before giving up, once SIGKILL was sent to all.
    ///   - signal: sends a signal.
    func end(
        asking: Int64 = 60_000, limit: Int64 = 600_000, signal: (pid_t, Int32) -> Void = { _ = kill($0, $1) }
    ) throws {
        let began = Clock.monotonic
        var (wasAsked, wasKilled) = (false, false)
        while true {
            let all = try processes.find()
            if all.isEmpty { return }
            let waited = Int64((Clock.monotonic - began) / 1_000_000)
            guard waited < limit || !wasKilled else {
                throw Problem(
                    "could not end process \(all[0].process) in \"\(data)\" within \(limit / 1000) seconds",
                    detail: all[0].sentence)
            }
            // A postmaster that is asked ends its processes and removes its shared memory.
            let isAsked = waited < asking || !wasAsked
            let numbers = Set(all.map(\.process))
            for one in all where !isAsked || !numbers.contains(one.parent) {
                signal(one.process, isAsked && one.isServer ? SIGQUIT : SIGKILL)
            }
            (wasAsked, wasKilled) = (true, wasKilled || !isAsked)
            // A server takes a few milliseconds to end; polling often is cheaper than waiting long.
            for _ in 0..<20 where all.contains(where: { processExists($0.process) }) { Clock.sleep(milliseconds: 5) }
        }
    }
}
