public import Planning
public import Platform
public import Recovery
import Synchronization
public import WAL

/// What a job needs of its caller: a receiver of its messages, an answer to its question, and a way to cancel it.
///
/// The defaults ignore messages, know no answer and never cancel. The closures may be called on any thread.
public struct JobContext: Sendable {
    /// Gets messages for the log.
    public var report: @Sendable (JobMessage) -> Void = { _ in }
    /// Gets the job's progress; called often.
    public var progress: @Sendable (JobProgress) -> Void = { _ in }
    /// Chooses which of several timelines is the cluster's when "latest" is ambiguous. Nil when unknown; the plan is
    /// refused then.
    public var chooseTimeline: @Sendable (PlanRefusal, [Branch]) -> TimelineID? = { _, _ in nil }
    /// Called when a recovery has begun, with what it leaves behind if its process ends early.
    public var leaving: @Sendable (RecoveryRemains) -> Void = { _ in }
    public var cancellation = Cancellation()
    /// Facts for the job's record in the repository.
    public var notes = JobNotes()

    public init() {}

    func note(_ level: Log.Level, _ message: String, detail: String? = nil, hint: String? = nil) {
        report(JobMessage(level: level, message: message, detail: detail, hint: hint))
    }

    func note(_ level: Log.Level, _ error: any Error) {
        let explained = error as? any Explained
        note(level, explained?.message ?? "\(error)", detail: explained?.detail, hint: explained?.hint)
    }
}

extension JobContext {
    /// For what is done twice: what was said already isn't said again, and what was answered isn't asked again.
    func withoutRepeating() -> JobContext {
        let first = First()
        var context = self
        context.report = { [report] message in
            if first.isNew(message) { report(message) }
        }
        context.chooseTimeline = { [chooseTimeline] refusal, branches in
            first.answer { chooseTimeline(refusal, branches) }
        }
        return context
    }
}

/// What was said and answered the first time.
private final class First: Sendable {
    private let messages = Mutex<[JobMessage]>([])
    private let timeline = Mutex<TimelineID?>(nil)

    func isNew(_ message: JobMessage) -> Bool {
        messages.withLock { messages in
            guard !messages.contains(message) else { return false }
            messages.append(message)
            return true
        }
    }

    func answer(_ ask: () -> TimelineID?) -> TimelineID? {
        timeline.withLock { known in
            known = known ?? ask()
            return known
        }
    }
}

/// What a job has to say, in the parts of a log line.
public struct JobMessage: Sendable, Equatable {
    public let level: Log.Level
    public let message: String
    /// More facts, as sentences.
    public let detail: String?
    /// What to do next, as sentences.
    public let hint: String?
}

extension JobContext {
    /// Reports that the repository can't take the record of a recovery.
    func noteMissing(_ audit: RecoveryAudit) {
        guard let obstacle = audit.obstacle else { return }
        note(.warning, "the repository keeps no record of this recovery", detail: "\(obstacle.message).")
    }
}

/// What a recovery leaves behind if its process ends early.
public struct RecoveryRemains: Sendable {
    /// The directory being recovered; nil for a temporary one.
    public let directory: String?
    /// Its record in the repository, which has no end yet; nil where the repository can't take one.
    public let audit: RecoveryAudit.Reference?
}
