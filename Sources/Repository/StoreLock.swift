public import Platform

/// A lock in a store, held until the object is released or its process ends.
public protocol StoreLock: AnyObject, Sendable {
    /// Whoever holds the lock asks right before he does what needs it. Costs no request to a store that is far away.
    /// - Throws: `LockLost` when it may be another's by now; the store's own errors, when that can't be told.
    func confirm() throws
}

/// The result of an attempt to take a lock.
public enum LockAttempt: Sendable {
    case taken(any StoreLock)
    /// Others hold it; one of them, where the store can tell.
    case refused(by: LockOwner?)
    /// The store can only be read from here, so no lock can be taken.
    case impossible(any Error)
}

/// Who holds a lock, or wants it.
public struct LockOwner: Hashable, Sendable, CustomStringConvertible {
    public let process: ProcessIdentity
    /// What it does: the program and its command.
    public let purpose: String
    /// Since when, by its clock; ISO 8601.
    public let since: String

    public init(_ process: ProcessIdentity, purpose: String, since: String) {
        (self.process, self.purpose, self.since) = (process, purpose, since)
    }

    public var description: String {
        "process \(process.process) on host \"\(process.host)\" (\(purpose)), since \(since)"
    }
}

/// A lock may be another's by now.
public struct LockLost: Explained, Equatable {
    public enum Cause: Sendable {
        /// The store could not be reached, or the process or its machine stood still.
        case notRenewed
        /// What others know of it by is gone.
        case removed
    }
    /// The lock's name in its folder.
    public let lock: String
    public let cause: Cause
    public init(lock: String, _ cause: Cause = .notRenewed) { (self.lock, self.cause) = (lock, cause) }
    public var message: String { "lock \"\(lock)\" has been lost" }
    public var detail: String? { "\(reason), so others may have taken it since." }
    /// The cause, without a full stop.
    public var reason: String {
        switch cause {
        case .notRenewed: "It could not be renewed in time"
        case .removed: "Its file was removed"
        }
    }
    public var hint: String? { "Run the command again once the repository can be reached." }
    public var isTransient: Bool { true }
}
