public import Planning
public import Platform
public import Recovery
import Synchronization
public import WAL

/// What a job needs of whoever started it: somebody who hears of it, who answers its question, and who may end it.
///
/// Everything has a default that hears nothing, answers nothing and ends nothing. The closures may be called on any
/// thread.
public struct JobContext: Sendable {
    /// What is worth a line in the log.
    public var report: @Sendable (JobMessage) -> Void = { _ in }
    /// How far the job is; called often.
    public var progress: @Sendable (JobProgress) -> Void = { _ in }
    /// Which of several timelines is the cluster's: asked where nothing tells which one "latest" means. Nil when nobody
    /// knows; the plan is refused then.
    public var chooseTimeline: @Sendable (PlanRefusal, [Branch]) -> TimelineID? = { _, _ in nil }
    /// A recovery has begun: what it leaves behind when its process ends early.
    public var leaving: @Sendable (RecoveryRemains) -> Void = { _ in }
    public var cancellation = Cancellation()
    /// What the job's record in the repository is to remember.
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
    /// Says that the repository takes no account of a recovery.
    func noteMissing(_ audit: RecoveryAudit) {
        guard let obstacle = audit.obstacle else { return }
        note(.warning, "the repository keeps no record of this recovery", detail: "\(obstacle.message).")
    }
}

/// What is left of a recovery whose process ends early.
public struct RecoveryRemains: Sendable {
    /// The directory that is recovered into; nil where it is a temporary one.
    public let directory: String?
    /// The account of it in the repository that has no end yet; nil where the repository takes none.
    public let audit: RecoveryAudit.Reference?
}
