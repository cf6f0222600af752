/// A lock in a store, held until the object goes, or its process: a dead one holds nothing.
public protocol StoreLock: AnyObject, Sendable {}

/// What became of the wish for a lock.
public enum LockAttempt: Sendable {
    case taken(any StoreLock)
    /// Others hold it.
    case refused
    /// The store can only be read from here, so that no lock can be taken from here at all.
    case impossible(any Error)
}
