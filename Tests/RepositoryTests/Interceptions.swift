import Platform
import Repository
import Synchronization

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

/// Every commit takes effect and fails all the same.
struct LastStep: Interception {
    let error: any Error
    init(_ error: any Error) { self.error = error }

    func around<Value>(
        _ verb: StoreVerb, after aftermath: () throws -> Aftermath<Value>, _ body: () throws -> Value
    ) throws -> Value {
        let value = try body()
        if verb == .commit { throw error }
        return value
    }
}
