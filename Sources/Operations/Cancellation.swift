public import Platform
import Synchronization

/// Ends a job before it is done, from any thread.
///
/// A job looks at it between its steps, and while it copies or waits. What it has done by then is left as an interrupted
/// job leaves it: a recovery can be resumed, a temporary cluster is removed.
public final class Cancellation: Sendable {
    private let isCancelled = Mutex(false)
    private let closing: @Sendable () -> Void

    /// - Parameter closing: called when the job has done its work and is about to record that, from when on nothing can
    ///   cancel it. It may wait, or not return.
    public init(closing: @escaping @Sendable () -> Void = {}) { self.closing = closing }

    /// A job that has done its work by then isn't changed by it.
    public func cancel() { isCancelled.withLock { $0 = true } }

    /// - Throws: `JobCancelled`.
    public func check() throws(JobCancelled) { if isCancelled.withLock({ $0 }) { throw JobCancelled() } }

    /// The work is done: from here on a cancellation comes too late.
    func close() { closing() }
}

/// Whoever started the job has ended it.
public struct JobCancelled: Explained, Equatable {
    public var message: String { "the job was cancelled" }
}
