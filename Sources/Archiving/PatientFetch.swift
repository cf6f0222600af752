import Platform
import Repository

extension Fetch {
    /// As the call without `patience`, for a server, which would stop on a failure: while the repository can't be
    /// reached, tries again every second. Outside of a running server's data directory it fails at once.
    ///
    /// Damage and disagreement don't go away by themselves and are never tried again.
    ///
    /// - Parameters:
    ///   - patience: for how long, in milliseconds.
    ///   - waiting: gets the first failure, before the wait.
    public func callAsFunction(
        _ name: String, to destination: String, patience: Int64, waiting: (any Error) -> Void
    ) throws -> Outcome {
        let end = Clock.monotonic + UInt64(min(max(0, patience), 1 << 40)) * 1_000_000
        var hasWaited = false
        while true {
            do { return try self(name, to: destination) } catch {
                guard mayPass(error), Clock.monotonic < end, let caller = identity.caller, caller.isServer,
                    // A server that is being stopped doesn't wait for its restore_command.
                    caller.isWaiting()
                else { throw error }
                if !hasWaited { waiting(error) }
                hasWaited = true
                Clock.sleep(milliseconds: 1000)
                identity.repository.store.reopen()
            }
        }
    }

    /// Whether a repository that is temporarily away would answer so. An absent object is no failure while the
    /// incarnation's marker is there.
    private func mayPass(_ error: any Error) -> Bool {
        error is ObjectAbsent || (error as? any Explained)?.isTransient == true
    }
}
