public import Platform

/// Retries calls that failed with a transient error (`isTransient`), for a limited time, and never one that may have
/// taken effect without checking. For a store that is reached over a network.
///
/// A failed fsync is not transient: the kernel reports it once, and another one succeeds although the data is lost. So
/// a commit that failed for it fails, also if the object is visible.
public struct Retrying: Interception {
    /// Milliseconds from a call's beginning, after which no further attempt is made.
    public var patience: Int64
    private let pause: @Sendable (_ milliseconds: Int) -> Void
    private let elapsed: @Sendable () -> UInt64
    private let cancellation: @Sendable () throws -> Void

    /// - Parameters:
    ///   - elapsed: in nanoseconds; never goes back.
    ///   - cancellation: is asked before each pause; an error ends the attempts, and is thrown.
    public init(
        patience: Int64 = 10_000,
        pause: @escaping @Sendable (_ milliseconds: Int) -> Void = { Clock.sleep(milliseconds: $0) },
        elapsed: @escaping @Sendable () -> UInt64 = { Clock.monotonic },
        cancellation: @escaping @Sendable () throws -> Void = {}
    ) {
        (self.patience, self.pause, self.elapsed, self.cancellation) = (patience, pause, elapsed, cancellation)
    }

    public func around<Value>(
        _ verb: StoreVerb, after aftermath: () throws -> Aftermath<Value>, _ body: () throws -> Value
    ) throws -> Value {
        let start = elapsed()
        var milliseconds = 1
        /// - Throws: the error when it isn't transient, or the time is over.
        func wait(for error: any Error) throws {
            guard (error as? any Explained)?.isTransient == true, elapsed() &- start < UInt64(patience) * 1_000_000
            else { throw error }
            try cancellation()
            pause(milliseconds)
            milliseconds = min(1000, milliseconds * 2)
        }
        /// Checking can fail as the call did.
        func look() throws -> Aftermath<Value> {
            while true { do { return try aftermath() } catch { try wait(for: error) } }
        }
        while true {
            do { return try body() } catch {
                try wait(for: error)
                switch try look() {
                case .repeatable: continue
                case .done(let value): return value
                case .unknown: throw error
                }
            }
        }
    }
}
