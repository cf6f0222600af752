import Synchronization

/// Counts calls and bytes, in any number of threads.
public final class Counting: Interception {
    private let counts = Mutex<(calls: [StoreVerb: Int], bytes: [StoreVerb: Int])>(([:], [:]))
    public init() {}
    public var calls: [StoreVerb: Int] { counts.withLock { $0.calls } }
    /// The bytes that were read, and those that were written by commits.
    public var bytes: [StoreVerb: Int] { counts.withLock { $0.bytes } }

    public func around<Value>(
        _ verb: StoreVerb, after aftermath: () throws -> Aftermath<Value>, _ body: () throws -> Value
    ) throws -> Value {
        counts.withLock { $0.calls[verb, default: 0] += 1 }
        return try body()
    }
    public func willMove(_ bytes: Int, _ verb: StoreVerb) { counts.withLock { $0.bytes[verb, default: 0] += bytes } }
}
