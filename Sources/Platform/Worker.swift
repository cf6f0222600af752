import Glibc

/// One operating-system thread.
///
/// For blocking reads, compression and PQgetResult, which must not block Swift's concurrency pool: that has one thread
/// per core and never adds more.
public struct Worker: Sendable {
    private let handle: pthread_t

    public init(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let box = Unmanaged.passRetained(Box(body))
        var handle = pthread_t()
        do throws(SystemError) {
            try checking(.thread, "worker") {
                pthread_create(
                    &handle, nil,
                    { context in
                        Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()
                        return nil
                    }, box.toOpaque())
            }
        } catch {
            box.release()
            throw error
        }
        self.handle = handle
    }

    /// Waits for the thread to return; must be called exactly once.
    public func join() { pthread_join(handle, nil) }

    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

/// Runs `work` on some threads while `body` provides their work, and returns when all have ended.
///
/// - Parameter cancel: called with an error of `body` or one of the threads; makes the others, and all that wait for
///   them, end.
/// - Throws: what `body` throws. `cancel` must keep an error of a thread.
public func withWorkers<Value>(
    _ count: Int, _ work: @escaping @Sendable () throws -> Void, cancel: @escaping @Sendable (any Error) -> Void,
    _ body: () throws -> Value
) throws -> Value {
    var threads: [Worker] = []
    defer { for thread in threads { thread.join() } }
    do {
        for _ in 0..<count {
            threads.append(
                try Worker {
                    do { try work() } catch { cancel(error) }
                })
        }
        return try body()
    } catch {
        cancel(error)
        throw error
    }
}
