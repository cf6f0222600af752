import Glibc
import Platform

/// Locks for a store that has none of its own, made of what every store can do: create an object, list a folder, remove an
/// object. A lease is an object that says for how long it holds; its owner stores a newer one before that is over.
///
/// **Why no two hold what one may hold alone.** Whoever wants a lock stores an object under a name of his own, then lists.
/// He has the lock if no other's that excludes him is listed, or only ones that are over; else he takes his away. Of two who
/// exclude each other one stored first. The other lists after he himself stored, so he finds the first one's, and doesn't
/// have the lock. This asks of the store that a listing shows whatever was stored, and not removed, before the listing
/// began; it needs no condition on what is stored, as no two names are the same.
///
/// **When a lease is over.** Either its owner has ended, which only his own machine can tell (`ProcessIdentity.isGone`). Or
/// the store's clock, which stamps every object, shows that the newest object of it is older than what was asked for now, by
/// the time it holds and `bound` on top. No host's clock is compared with another's; `bound` is for what the clocks of one
/// store's machines may differ by, and for one that is set. The owner himself measures from before he asked for the object
/// to be stored, so his time is over before anybody else's view of it, and he counts a renewal only if it was confirmed
/// before the time of the last one was over: what comes later may come after somebody has found the lease over.
/// What is removed then are the objects that were found over, by their names: a lease that has been taken again has others.
///
/// **What remains.** An owner asks `confirm` before each step that needs the lock. It knows of the time that he slept; between
/// its answer and the step nobody can stop him. `bound` is longer than any such step.
///
/// The objects lie in `lease/` of the incarnation, not in the folder itself: no listing of that finds them.
public struct LeaseLocks: Sendable {
    /// For how long leases hold, and by which clocks; tests have others.
    struct Terms: Sendable {
        /// All in milliseconds.
        var length: Int64 = 120_000
        var renewal: Int64 = 40_000
        var bound: Int64 = 60_000
        /// Microseconds since 1970.
        var now: @Sendable () -> Int64 = { Clock.now }
        /// Nanoseconds, and never stands still.
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

    /// As `ObjectStore.isLocked`. What is over by the store's clock is judged by this host's, for nothing is stored here.
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

    /// Asks once, and again as long as it is this one's turn: of several that come at the same time the others give way to
    /// the first by name, so that one of them gets it.
    private func attempt(
        _ name: String, _ place: RepositoryKey, _ isShared: Bool, _ pause: inout Pause
    ) throws -> LockAttempt {
        let now = terms.now()
        let lease = LeaseName(isShared: isShared, seconds: terms.length / 1000, now: now)
        let current = LockOwner.current(now: now)
        let held = HeldLease(
            store, place, lease, LockOwner(process, purpose: current.purpose, since: current.since), name, terms)
        do { try held.claim() } catch let error as SystemError where error.forbidsWriting { return .impossible(error) }
        do {
            var owners: [String: LockOwner] = [:]
            while true {
                let claims = try claims(in: place)
                // Somebody found it over already, or the store doesn't list what it has stored.
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

    /// All objects of one lease that a listing has.
    private struct Claim {
        var objects: [LeaseName]
        /// The one with the highest number.
        var newest: LeaseName
        /// When that was stored, by the store's clock; nil where it doesn't tell.
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

    /// Nil when the object has gone, or can't be read: then nobody knows whose it is.
    private func owner(of claim: Claim, in place: RepositoryKey) throws -> LockOwner? {
        do {
            return try store.document(.lease, at: place.appending(claim.newest.description)).flatMap { LockOwner($0) }
        } catch is DocumentRefused { return nil }
    }
}

/// Waits longer each time, and never as long as others do.
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
    /// Whether this process may only read there.
    var forbidsWriting: Bool { [EROFS, EACCES, EPERM].contains(code) }
}
