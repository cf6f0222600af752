import Synchronization

/// Steps that an interruption waits for, such as a commit. The result of a finished step is permanent, and a later
/// interruption reports it.
public enum LastStep {
    private struct State {
        var running = 0
        var outcomes: [String] = []
    }
    private static let state = Mutex(State())

    /// Runs a step.
    ///
    /// - Parameter outcome: what the step did, as a sentence; evaluated when it has succeeded.
    public static func run<Value>(_ outcome: @autoclosure () -> String?, _ body: () throws -> Value) rethrows -> Value {
        begin()
        defer { state.withLock { $0.running -= 1 } }
        let value = try body()
        if let sentence = outcome() { state.withLock { $0.outcomes.append(sentence) } }
        return value
    }

    /// Begins a step that ends with the process.
    public static func begin() { state.withLock { $0.running += 1 } }

    /// Permanent results, as sentences.
    public static var outcomes: [String] { state.withLock { $0.outcomes } }

    /// Waits until no such step is running.
    ///
    /// - Returns: false when one is still running after that time.
    public static func wait(milliseconds: Int) -> Bool {
        var waited = 0
        while state.withLock({ $0.running > 0 }) {
            guard waited < milliseconds else { return false }
            Clock.sleep(milliseconds: 10)
            waited += 10
        }
        return true
    }
}
