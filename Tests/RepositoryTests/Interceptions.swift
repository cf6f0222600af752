import Platform
import Support
import Synchronization

/// Retries calls that failed with a transient error (`isTransient`), for a limited time, and never one that may have
/// taken effect without checking.
struct Retrying: Interception {
    /// Milliseconds.
    var patience: Int64 = 10_000
    var pause: @Sendable (_ milliseconds: Int) -> Void = { Clock.sleep(milliseconds: $0) }
    /// Nanoseconds; never goes back.
    var elapsed: @Sendable () -> UInt64 = { Clock.monotonic }
    /// An error ends the waiting.
    var cancellation: @Sendable () throws -> Void = {}

    func around<Value>(
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

/// Limits the bytes per second.
struct Limited: Interception {
    let bytesPerSecond: Int64
    private let due: Monitor<UInt64>
    private let pause: @Sendable (_ nanoseconds: UInt64) -> Void
    private let elapsed: @Sendable () -> UInt64

    init(
        bytesPerSecond: Int64, pause: @escaping @Sendable (UInt64) -> Void, elapsed: @escaping @Sendable () -> UInt64
    ) {
        (self.bytesPerSecond, self.pause, self.elapsed) = (bytesPerSecond, pause, elapsed)
        due = Monitor(0)
    }

    func around<Value>(
        _ verb: StoreVerb, after aftermath: () throws -> Aftermath<Value>, _ body: () throws -> Value
    ) throws -> Value { try body() }

    func willMove(_ bytes: Int, _ verb: StoreVerb) {
        let now = elapsed()
        let wait = due.update { due in
            due = max(due, now) + UInt64(bytes) * 1_000_000_000 / UInt64(max(1, bytesPerSecond))
            return due - now
        }
        pause(wait)
    }
}

/// The storage is away for a moment.
struct Hiccup: Explained, Equatable {
    let message = "the storage is away for a moment"
    let isTransient = true
}

/// Fails sometimes, before a call or, where `losesAnswers`, after it took effect.
final class Flaky: Interception {
    private let count = Mutex(0)
    private let failures: @Sendable (StoreVerb, Int) -> (before: Bool, after: Bool)

    /// - Parameter failures: of a verb's call, and its number among all calls.
    init(_ failures: @escaping @Sendable (StoreVerb, Int) -> (before: Bool, after: Bool)) { self.failures = failures }

    func around<Value>(
        _ verb: StoreVerb, after aftermath: () throws -> Aftermath<Value>, _ body: () throws -> Value
    ) throws -> Value {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let (before, after) = failures(verb, number)
        if before { throw Hiccup() }
        let value = try body()
        if after { throw Hiccup() }
        return value
    }
}
