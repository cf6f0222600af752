import Platform

/// A bounded queue between threads. Whoever fails cancels it with the reason, which every other side then gets.
final class Channel<Item: Sendable>: Sendable {
    private struct State {
        var queue: [Item] = []
        /// How many of `queue` have been received.
        var head = 0
        var senders: Int
        var failure: (any Error)?
    }
    private let monitor: Monitor<State>
    private let capacity: Int

    /// - Parameter senders: the channel ends when this many have called `finish`.
    init(capacity: Int, senders: Int = 1) {
        self.capacity = capacity
        monitor = Monitor(State(senders: senders))
    }

    func send(_ item: Item) throws {
        try monitor.wait { state -> Answer<Void> in
            if let failure = state.failure { throw failure }
            guard state.queue.count - state.head < capacity else { return .notYet }
            state.queue.append(item)
            return .ready(())
        }
    }

    /// The next item; nil when all senders have finished.
    func receive() throws -> Item? {
        try monitor.wait { state -> Answer<Item?> in
            if let failure = state.failure { throw failure }
            guard state.head < state.queue.count else { return state.senders == 0 ? .ready(nil) : .notYet }
            let item = state.queue[state.head]
            state.head += 1
            if state.head == state.queue.count {
                state.queue.removeAll(keepingCapacity: true)
                state.head = 0
            }
            return .ready(item)
        }
    }

    func finish() { monitor.update { $0.senders -= 1 } }

    func cancel(_ reason: any Error) { monitor.update { if $0.failure == nil { $0.failure = reason } } }

    var failure: (any Error)? { monitor.update { $0.failure } }
}
