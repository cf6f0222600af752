import Glibc

/// One operating-system thread.
///
/// Blocking reads, compression and PQgetResult belong here and not on the
/// Swift concurrency pool, which has one thread per core and never adds more.
public struct Worker: Sendable {
    private let handle: pthread_t

    public init(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let box = Unmanaged.passRetained(Box(body))
        var handle = pthread_t()
        let code = pthread_create(
            &handle, nil,
            { context in
                Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw SystemError(.thread, "worker", code: code)
        }
        self.handle = handle
    }

    /// Waits for the thread to return; to be called exactly once.
    public func join() { pthread_join(handle, nil) }

    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
