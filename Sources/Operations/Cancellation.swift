public import Platform
import Synchronization

/// Cancels a job, from any thread.
///
/// A job checks it between its steps, and while it copies or waits. What it has done by then is left as by an
/// interrupted job: a recovery can be resumed, a temporary cluster is removed.
public final class Cancellation: Sendable {
    private let isCancelled = Mutex(false)
    private let closing: @Sendable () -> Void

    /// - Parameter closing: called when the job has done its work and is about to record it; it can't be cancelled any
    ///   more. It may wait, or not return.
    public init(closing: @escaping @Sendable () -> Void = {}) { self.closing = closing }

    /// Has no effect on a job that has done its work.
    public func cancel() { isCancelled.withLock { $0 = true } }

    /// - Throws: `JobCancelled`.
    public func check() throws(JobCancelled) { if isCancelled.withLock({ $0 }) { throw JobCancelled() } }

    /// The work is done: a later cancellation has no effect.
    func close() { closing() }
}

/// The job was cancelled.
public struct JobCancelled: Explained, Equatable {
    public var message: String { "the job was cancelled" }
}
