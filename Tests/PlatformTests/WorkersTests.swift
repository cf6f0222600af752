import Platform
import Synchronization
import Testing

/// Threads that get their work from one place, and are all waited for.
struct WorkersTests {
    private struct Failure: Error, Equatable { let who: String }

    /// Work that waits for an end, and records who got it.
    private final class Bench: Sendable {
        let state = Monitor((end: (any Error)?.none, isDone: false))
        let ended = Mutex(0)

        func work() throws {
            defer { ended.withLock { $0 += 1 } }
            try state.wait { state -> Readiness<Void> in
                if let end = state.end { throw end }
                return state.isDone ? .ready(()) : .notYet
            }
        }
        func cancel(_ error: any Error) { state.update { if $0.end == nil { $0.end = error } } }
    }

    /// True once.
    private final class Flag: Sendable {
        private let isUp = Mutex(true)
        func take() -> Bool {
            isUp.withLock { isUp in
                defer { isUp = false }
                return isUp
            }
        }
    }

    @Test func `the body's result is returned when all threads have ended`() throws {
        let bench = Bench()
        let value = try withWorkers(3, bench.work, cancel: bench.cancel) {
            bench.state.update { $0.isDone = true }
            return 7
        }
        #expect(value == 7 && bench.ended.withLock { $0 } == 3)
        #expect(bench.state.update { $0.end == nil })
    }

    @Test func `a body that fails ends the threads`() throws {
        let bench = Bench()
        #expect(throws: Failure(who: "body")) {
            try withWorkers(3, bench.work, cancel: bench.cancel) { throw Failure(who: "body") }
        }
        #expect(bench.ended.withLock { $0 } == 3)
    }

    @Test func `a thread that fails ends the others, and the body that waits`() throws {
        let bench = Bench()
        let first = Flag()
        let work: @Sendable () throws -> Void = {
            if first.take() { throw Failure(who: "thread") }
            try bench.work()
        }
        #expect(throws: Failure(who: "thread")) {
            try withWorkers(3, work, cancel: bench.cancel) { try bench.work() }
        }
        // The two others, and the body.
        #expect(bench.ended.withLock { $0 } == 3)
    }
}
