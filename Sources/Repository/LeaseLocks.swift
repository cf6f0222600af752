import Glibc
import Platform

/// Locks for a store that has none of its own, made of what every store can do: create, list and remove objects. A
/// lease is an object whose name says for how long it holds; its owner stores a newer one before that time is over.
///
/// **Why two never hold a lock that one may hold alone.** To take a lock, a process stores an object under a name of
/// its own, then lists. It has the lock if the listing shows no other object that excludes its own, or only expired
/// ones; else it removes its own. Of two that exclude each other, one stored first. The other lists after it has stored
/// its own, so it finds the first one's object and doesn't get the lock. This requires of the store that a listing
/// shows everything that was stored before it began and not removed; it needs no conditional writes, as no two names
/// are the same.
///
/// **When a lease is over.** Either its owner has ended, which only his own machine can tell
/// (`ProcessIdentity.isGone`). Or its newest object is older, by the store's clock, which stamps every object, than the
/// time it holds plus `bound`; the present by that clock is the stamp of the asker's own object. Clocks of two hosts
/// are never compared; `bound` covers the difference between the clocks of one store's machines, and a clock that is
/// set. The owner measures from before he asked for the object to be stored, so for him the lease ends before anybody
/// else finds it over; and a renewal counts only if it was confirmed before the previous one ended: later, somebody may
/// have found the lease over. Only the objects that were found over are removed, by name: a lease that has been taken
/// again has others.
///
/// **What remains.** An owner calls `confirm` before each step that needs the lock. `confirm` counts time in which the
/// machine slept, but a process that stops between its answer and the step can't be stopped from taking the step.
/// `bound` is longer than any such step.
///
/// The objects lie in `lease/` of the incarnation, not in the locked folder: no listing of that folder shows them.
public struct LeaseLocks: Sendable {
    /// How long leases hold, and by which clocks; tests set others.
    struct Terms: Sendable {
        /// All in milliseconds.
        var length: Int64 = 120_000
        var renewal: Int64 = 40_000
        var bound: Int64 = 60_000
        /// Microseconds since 1970.
        var now: @Sendable () -> Int64 = { Clock.now }
        /// Nanoseconds; advances while the machine sleeps.
        var elapsed: @Sendable () -> UInt64 = { Clock.sinceBoot }
    }

    private let store: any ObjectStore
    private let terms: Terms
    private let process: ProcessIdentity

    public init(in store: any ObjectStore) { self.init(in: store, Terms()) }

    init(in store: any ObjectStore, _ terms: Terms, of process: ProcessIdentity = .current) {
        (self.store, self.terms, self.process) = (store, terms, process)
    }

    /// As `ObjectStore.lock`.
    public func lock(
        _ name: String, in folder: RepositoryKey, isShared: Bool, patience milliseconds: Int, makesFolder: Bool
    ) throws -> LockAttempt {
        guard try makesFolder || !store.list(folder).isEmpty else {
            throw ObjectAbsent(key: folder, location: store.location)
        }
        let end = Clock.monotonic &+ UInt64(max(0, min(milliseconds, 1 << 40))) * 1_000_000
        var pause = Pause(until: end)
        while true {
            let attempt = try attempt(name, LeaseLocks.folder(of: name, in: folder), isShared, &pause)
            guard case .refused = attempt, pause.wait() else { return attempt }
        }
    }

    /// As `ObjectStore.isLocked`. Expiry is judged by this host's clock, since nothing is stored here to get the
    /// store's.
    public func isLocked(_ name: String, in folder: RepositoryKey) throws -> Bool {
        let place = LeaseLocks.folder(of: name, in: folder)
        return try claims(in: place).contains { claim in
            try !isOver(claim, at: terms.now()) && owner(of: claim, in: place)?.process.isGone != true
        }
    }

    /// Where a lock's objects lie.
    static func folder(of name: String, in folder: RepositoryKey) -> RepositoryKey {
        var parts = folder == .root ? [] : folder.description.split(separator: "/").map(String.init)
        parts.insert("lease", at: min(2, parts.count))
        return (parts + [name]).reduce(RepositoryKey.root) { $0.appending($1) }
    }

    /// Asks once, and repeats while this process is first in line: of several that come at the same time the others
    /// give way to the first by name, so that one of them gets the lock.
    private func attempt(
        _ name: String, _ place: RepositoryKey, _ isShared: Bool, _ pause: inout Pause
    ) throws -> LockAttempt {
        let now = terms.now()
        let lease = LeaseName(isShared: isShared, seconds: terms.length / 1000, now: now)
        let current = LockOwner.current(now: now)
        let held = HeldLease(
            lease, of: LockOwner(process, purpose: current.purpose, since: current.since), on: name, in: place,
            of: store, terms)
        do { try held.claim() } catch let error as SystemError where error.forbidsWriting { return .impossible(error) }
        do {
            var owners: [String: LockOwner] = [:]
            while true {
                let claims = try claims(in: place)
                // Another process has already found it over, or the store doesn't list what it has stored.
                guard let own = claims.first(where: { $0.newest.claim == lease.claim }) else {
                    throw LockLost(lock: name)
                }
                var other: Claim?
                for claim in claims where claim.newest.claim != lease.claim && !(isShared && claim.newest.isShared) {
                    if owners[claim.newest.claim] == nil, !isOver(claim, at: own.stored) {
                        owners[claim.newest.claim] = try owner(of: claim, in: place)
                    }
                    guard isOver(claim, at: own.stored) || owners[claim.newest.claim]?.process.isGone == true
                    else {
                        other = other ?? claim
                        continue
                    }
                    for object in claim.objects { try store.remove(place.appending(object.description)) }
                }
                guard let other else {
                    try held.confirm()
                    return .taken(try RenewedLease(held))
                }
                guard lease.claim < other.newest.claim, held.isYoung, pause.wait() else {
                    held.release()
                    return .refused(by: owners[other.newest.claim])
                }
            }
        } catch {
            held.release()
            throw error
        }
    }

    /// All listed objects of one lease.
    private struct Claim {
        var objects: [LeaseName]
        /// The one with the highest number.
        var newest: LeaseName
        /// When that was stored, by the store's clock; nil when the store doesn't say.
        var stored: Int64?
    }

    /// In order of their names.
    private func claims(in place: RepositoryKey) throws -> [Claim] {
        var claims: [Claim] = []
        for entry in try store.list(place) where !entry.isFolder {
            guard let name = LeaseName(entry.name) else { continue }
            if let index = claims.firstIndex(where: { $0.newest.claim == name.claim }) {
                claims[index].objects.append(name)
                guard name.number > claims[index].newest.number else { continue }
                (claims[index].newest, claims[index].stored) = (name, entry.modified)
            } else {
                claims.append(Claim(objects: [name], newest: name, stored: entry.modified))
            }
        }
        return claims
    }

    /// - Parameter now: by the store's clock, in microseconds.
    private func isOver(_ claim: Claim, at now: Int64?) -> Bool {
        guard let now, let stored = claim.stored else { return false }
        let (age, overflow) = now.subtractingReportingOverflow(stored)
        return !overflow && age > claim.newest.seconds * 1_000_000 + terms.bound * 1000
    }

    /// Nil when the object is gone or can't be read: its owner isn't known then.
    private func owner(of claim: Claim, in place: RepositoryKey) throws -> LockOwner? {
        do {
            return try store.document(.lease, at: place.appending(claim.newest.description)).flatMap { LockOwner($0) }
        } catch is DocumentRefused { return nil }
    }
}

/// Waits longer each time, for a time that differs between processes.
private struct Pause {
    private let end: UInt64
    private var milliseconds = 25

    init(until end: UInt64) { self.end = end }

    /// False when there is no time left.
    mutating func wait() -> Bool {
        let now = Clock.monotonic
        guard now < end else { return false }
        milliseconds = min(1000, milliseconds * 2)
        let left = Int((end - now) / 1_000_000) + 1
        Clock.sleep(milliseconds: min(left, Int.random(in: (milliseconds / 2)...milliseconds)))
        return true
    }
}

extension SystemError {
    /// Whether this process may only read in the store.
    var forbidsWriting: Bool { [EROFS, EACCES, EPERM].contains(code) }
}
