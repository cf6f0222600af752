/// A bounded queue between threads. A side that fails cancels it with the reason, which all other sides get.
public final class Channel<Item: Sendable>: Sendable {
    private struct State {
        /// A ring; a free slot is nil, so that received items are not kept.
        var slots: [Item?]
        /// The slot to receive from.
        var first = 0
        /// How many items wait.
        var count = 0
        var senders: Int
        var failure: (any Error)?
    }
    private let monitor: Monitor<State>

    /// - Parameter senders: the channel ends when this many have called `finish`.
    public init(capacity: Int, senders: Int = 1) {
        monitor = Monitor(State(slots: Array(repeating: nil, count: capacity), senders: senders))
    }

    public func send(_ item: Item) throws {
        try monitor.wait { state -> Readiness<Void> in
            if let failure = state.failure { throw failure }
            guard state.count < state.slots.count else { return .notYet }
            state.slots[(state.first + state.count) % state.slots.count] = item
            state.count += 1
            return .ready(())
        }
    }

    /// The next item; nil when all senders have finished.
    public func receive() throws -> Item? {
        try monitor.wait { state -> Readiness<Item?> in
            if let failure = state.failure { throw failure }
            guard let item = state.slots[state.first] else { return state.senders == 0 ? .ready(nil) : .notYet }
            state.slots[state.first] = nil
            state.first = (state.first + 1) % state.slots.count
            state.count -= 1
            return .ready(item)
        }
    }

    public func finish() { monitor.update { $0.senders -= 1 } }

    public func cancel(_ reason: any Error) { monitor.update { if $0.failure == nil { $0.failure = reason } } }

    public var failure: (any Error)? { monitor.update { $0.failure } }
}
