public import Platform
public import Repository
import Synchronization

/// The right to read a backup and the WAL after it: until it is released, or its process ends, `expire` leaves both
/// alone (a shared lock in the backup's folder).
public final class BackupLease: Sendable {
    fileprivate static let name = "lease"
    private let label: String
    private let archive: ClusterArchive
    private let state = Mutex(State())

    private struct State {
        /// Nil where none can be taken, and after one was lost.
        var lock: (any StoreLock)?
        var loss: LockLost?
    }

    /// Waits for an expiration that is deciding or removing. In a repository that is read-only from here, expiration
    /// can't run from here either, and no lock is taken.
    ///
    /// - Throws: `NoSuchBackup` when it has been removed; `BackupInProgress` when expiration takes longer than
    ///   `patience`.
    public init(_ label: String, of archive: ClusterArchive, patience milliseconds: Int = 60_000) throws {
        (self.label, self.archive) = (label, archive)
        let lock = try take(patience: milliseconds)
        state.withLock { $0.lock = lock }
    }

    private func take(patience milliseconds: Int) throws -> (any StoreLock)? {
        let attempt: LockAttempt
        do {
            attempt = try archive.store.lock(
                BackupLease.name, in: archive.incarnation.backupFolder(label), isShared: true, patience: milliseconds,
                makesFolder: false)
        } catch is ObjectAbsent { throw NoSuchBackup(label: label, cluster: archive.incarnation.cluster) }
        switch attempt {
        case .taken(let lock):
            guard try archive.hasBackup(label) else {
                throw NoSuchBackup(label: label, cluster: archive.incarnation.cluster)
            }
            return lock
        case .refused(let owner): throw BackupInProgress(cluster: archive.incarnation.cluster, owner: owner)
        case .impossible: return nil
        }
    }

    /// To be asked again and again by whoever reads, when something that should be there is missing, and before the
    /// work is called done. One that was lost is taken again: no label is used twice, so where the backup is, it was
    /// all the time, and so was all that it needs.
    ///
    /// - Parameter patience: for how long to wait for an expiration, in milliseconds.
    /// - Returns: how it was lost, when it has been taken again.
    /// - Throws: `LeaseLost`; the store's own errors, when that can't be told.
    @discardableResult
    public func confirm(patience: Int = 60_000) throws -> LockLost? {
        try state.withLock { state in
            if state.loss == nil {
                do {
                    try state.lock?.confirm()
                    return nil
                } catch let loss as LockLost { state.loss = loss }
            }
            guard let loss = state.loss else { return nil }
            state.lock = nil
            do { state.lock = try take(patience: patience) } catch is NoSuchBackup {
                throw LeaseLost(label: label, loss, .backupRemoved)
            } catch let error as BackupInProgress {
                throw LeaseLost(label: label, loss, .expiring(error.owner))
            }
            state.loss = nil
            return loss
        }
    }

    /// Does what reads the backup. Where that fails because the backup is gone, its error says so.
    public func reading<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch {
            do { try confirm(patience: 0) } catch let lost as LeaseLost where !lost.isTransient { throw lost } catch {}
            throw error
        }
    }

    /// Whether any process holds one.
    public static func isHeld(_ label: String, of archive: ClusterArchive) throws -> Bool {
        try archive.store.isLocked(name, in: archive.incarnation.backupFolder(label))
    }
}

/// What a lease protected may be gone: others could not know of it for a while.
public struct LeaseLost: Explained, Equatable {
    public enum Consequence: Sendable, Equatable {
        case backupRemoved
        /// Of the WAL that follows the backup.
        case segmentRemoved(String)
        /// Somebody removes backups at this moment, perhaps this one: who, where the store can tell.
        case expiring(LockOwner?)
    }
    public let label: String
    public let loss: LockLost
    public let consequence: Consequence
    public init(label: String, _ loss: LockLost, _ consequence: Consequence) {
        (self.label, self.loss, self.consequence) = (label, loss, consequence)
    }

    public var message: String { "the lease on backup \"\(label)\" has been lost" }
    public var detail: String? {
        let since =
            switch consequence {
            case .backupRemoved: "and the backup has been removed since"
            case .segmentRemoved(let name): "and segment \"\(name)\" has been removed since"
            case .expiring(let owner):
                "and \(owner.map { "\($0)," } ?? "another process") is expiring backups"
            }
        return "\(loss.reason), \(since)."
    }
    public var hint: String? { "Run the command again; it works with what is in the repository now." }
    /// Nothing is gone yet.
    public var isTransient: Bool { if case .expiring = consequence { true } else { false } }
}

/// Keeps new leases of a backup waiting, from the decision what goes until it is gone: a reader that came in between
/// would miss what it counts on.
public final class ExclusiveLease: Sendable {
    private let lock: any StoreLock

    /// Nil when another process holds a lease.
    public init?(_ label: String, of archive: ClusterArchive) throws {
        switch try archive.store.lock(
            BackupLease.name, in: archive.incarnation.backupFolder(label), isShared: false, patience: 0,
            makesFolder: false)
        {
        case .taken(let lock): self.lock = lock
        case .refused: return nil
        case .impossible(let error): throw error
        }
    }

    /// Called before the backup, or an object it needs, is removed.
    /// - Throws: `LockLost`.
    public func confirm() throws { try lock.confirm() }
}
