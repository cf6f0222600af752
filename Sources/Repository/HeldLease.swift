import Platform

/// A lease as its owner sees it: the objects he has stored, and until when he may rely on them (see `LeaseLocks`).
final class HeldLease: Sendable {
    private struct State {
        /// The objects that may exist, including one whose creation failed.
        var numbers: [Int] = []
        /// The last that is known to have been stored.
        var newest = 1
        /// When the lease ends, by `terms.elapsed`; nil once it is lost or released.
        var end: UInt64?
        /// Why it was lost.
        var cause = LockLost.Cause.notRenewed
    }
    private let store: any ObjectStore
    private let place: RepositoryKey
    private let lease: LeaseName
    private let owner: LockOwner
    private let lock: String
    let terms: LeaseLocks.Terms
    private let state = Monitor(State())

    init(
        _ lease: LeaseName, of owner: LockOwner, on lock: String, in place: RepositoryKey, of store: any ObjectStore,
        _ terms: LeaseLocks.Terms
    ) {
        (self.store, self.place, self.lease, self.owner) = (store, place, lease, owner)
        (self.lock, self.terms) = (lock, terms)
    }

    private var length: UInt64 { UInt64(terms.length) * 1_000_000 }
    private func key(_ number: Int) -> RepositoryKey { place.appending(lease.renewed(number).description) }

    /// Stores the first object.
    func claim() throws {
        let end = terms.elapsed() &+ length
        state.update { $0.numbers = [1] }
        do { try store(1) } catch {
            release()
            throw error
        }
        state.update { $0.end = end }
    }

    /// Stores the next object. The one before stays until the one after the next, so that a listing, however long it
    /// takes, finds one of them.
    /// - Returns: false when the lease is lost for good.
    func renew() throws -> Bool {
        let start = terms.elapsed()
        // A new number after a failure: the object that failed may exist all the same.
        let (number, before, end) = state.update { state in
            state.numbers.append((state.numbers.last ?? 0) + 1)
            return (state.numbers.last ?? 1, state.newest, state.end)
        }
        guard let end, start < end else { return lose() }
        try store(number)
        guard terms.elapsed() < end else { return lose() }
        // Nobody else removes it but whoever finds the lease over.
        guard try store.size(of: key(before)) != nil else { return lose(.removed) }
        let old = state.update { state in
            (state.end, state.newest) = (start &+ length, number)
            return state.numbers.filter { $0 != before && $0 != number }
        }
        for number in old {
            try store.remove(key(number))
            state.update { $0.numbers.removeAll { $0 == number } }
        }
        return true
    }

    func confirm() throws {
        let (end, cause) = state.update { ($0.end, $0.cause) }
        guard let end else { throw LockLost(lock: lock, cause) }
        guard terms.elapsed() < end else { throw LockLost(lock: lock) }
    }

    /// Whether at least half of its time is left, enough to wait for others.
    var isYoung: Bool { state.update { $0.end }.map { terms.elapsed() &+ length / 2 < $0 } ?? false }

    /// An object that can't be removed expires by itself.
    func release() {
        let numbers = state.update { state in
            state.end = nil
            return state.numbers
        }
        // The newest goes last: the lease exists until then.
        for number in numbers {
            guard (try? store.remove(key(number))) != nil else { continue }
            state.update { $0.numbers.removeAll { $0 == number } }
        }
    }

    /// Nobody must wait for an object that came too late.
    private func lose(_ cause: LockLost.Cause = .notRenewed) -> Bool {
        state.update { $0.cause = cause }
        release()
        return false
    }

    private func store(_ number: Int) throws {
        let document = owner.document(expires: terms.now() &+ terms.length * 1000)
        try store.create(key(number), bytes: document.bytes)
    }
}

/// A lease that a thread of its own renews until it is released.
final class RenewedLease: StoreLock {
    private let lease: HeldLease
    private let isReleased = Monitor(false)
    private let thread: Worker

    init(_ lease: HeldLease) throws {
        self.lease = lease
        let terms = lease.terms
        thread = try Worker { [isReleased] in
            var pause = terms.renewal
            while isReleased.wait(
                before: Clock.monotonic &+ UInt64(pause) * 1_000_000, until: { $0 ? .ready(true) : .notYet }) == nil
            {
                // If renewing doesn't succeed in time, `confirm` tells the holder.
                do {
                    guard try lease.renew() else { return }
                    pause = terms.renewal
                } catch { pause = max(1, terms.renewal / 8) }
            }
        }
    }

    func confirm() throws { try lease.confirm() }

    deinit {
        isReleased.update { $0 = true }
        thread.join()
        lease.release()
    }
}
