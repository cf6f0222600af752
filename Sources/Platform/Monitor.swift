import Glibc

/// What whoever waits finds: go on waiting, or a value.
public enum Readiness<Value> {
    case notYet
    case ready(Value)
}

/// State behind a lock, with waiting. `Synchronization.Mutex` has no condition variable; only this type combines the
/// two.
///
/// `@unchecked Sendable`: `state` is touched only between lock and unlock.
public final class Monitor<State>: @unchecked Sendable {
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    public init(_ state: sending State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` with the lock held, then wakes every waiter.
    public func update<Value>(_ body: (inout State) throws -> Value) rethrows -> Value {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until `body` says `.ready`.
    public func wait<Value>(until body: (inout State) throws -> Readiness<Value>) rethrows -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if case .ready(let value) = try body(&state) {
                pthread_cond_broadcast(changed)
                return value
            }
            pthread_cond_wait(changed, mutex)
        }
    }
    /// Waits until `body` says `.ready`, or a moment of `Clock.monotonic` has come: nil then.
    public func wait<Value>(before end: UInt64, until body: (inout State) throws -> Readiness<Value>) rethrows -> Value?
    {
        var moment = timespec(tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if case .ready(let value) = try body(&state) {
                pthread_cond_broadcast(changed)
                return value
            }
            if pthread_cond_timedwait(changed, mutex, &moment) == ETIMEDOUT {
                guard case .ready(let value) = try body(&state) else { return nil }
                return value
            }
        }
    }
}
