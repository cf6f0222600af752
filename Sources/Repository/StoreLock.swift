public import Platform

/// A lock in a store, held until the object is released or its process ends.
public protocol StoreLock: AnyObject, Sendable {
    /// Called by the holder right before each step that needs the lock. Costs no request.
    /// - Throws: `LockLost` when it may be another's by now.
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

/// A lock was not renewed in time, because the store could not be reached, or the process or its machine stood still.
public struct LockLost: Explained, Equatable {
    /// The lock's name in its folder.
    public let lock: String
    public init(lock: String) { self.lock = lock }
    public var message: String { "lock \"\(lock)\" has been lost" }
    public var detail: String? { "It could not be renewed in time, so others may have taken it since." }
    public var hint: String? { "Run the command again once the repository can be reached." }
    public var isTransient: Bool { true }
}
