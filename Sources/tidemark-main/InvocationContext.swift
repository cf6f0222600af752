import Configuration
import Expiring
import Glibc
import Operations
import Planning
import Platform
import Presentation
import Retention
import WAL

extension Invocation {
    /// A job's context in this call: the log, the terminal, the user, and the state for an interruption.
    ///
    /// - Parameter leavesServer: whether the replaying server continues when the job is interrupted.
    func context(leavesServer: Bool = false) -> JobContext {
        let (log, terminal) = (log, terminal)
        var context = JobContext()
        context.report = { message in
            guard message.level.rawValue <= log.threshold.rawValue else { return }
            terminal.finishProgress()
            log(message.level, message.message, detail: message.detail, hint: message.hint)
        }
        context.progress = { progress in
            terminal.progress(progressText(progress, leavesServer: leavesServer), log: log)
        }
        context.chooseTimeline = { refusal, branches in chooseTimeline(refusal, branches) }
        context.leaving = { remains in Interruption.note(remains) }
        context.cancellation = Cancellation(closing: { Interruption.comesTooLate() })
        context.notes = notes
        return context
    }

    /// Asks the user at the terminal; nil without one.
    private func chooseTimeline(_ refusal: PlanRefusal, _ branches: [Branch]) -> TimelineID? {
        guard isatty(0) == 1, !json, !arguments.has("yes") else { return nil }
        print("\(refusal.message): \(refusal.detail ?? "")")
        writeToStandardOutput(
            "Which timeline is the cluster's? [\(branches.map(\.timeline.description).joined(separator: "/"))] ")
        let answer = (readLine(strippingNewline: true) ?? "").filter { !$0.isWhitespace }
        return branches.first { $0.timeline.description == answer }?.timeline
    }

    /// The retention policy of the cluster's backups and WAL.
    func policy(for cluster: ClusterConfiguration) throws -> RetentionPolicy {
        RetentionPolicy(try configuration().retention(for: cluster))
    }

    /// Warns of what an expiry could not remove.
    func conclude(_ expiry: ClusterExpiry) -> ExitStatus {
        for failure in expiry.failures { log(.warning, failure) }
        return expiry.failures.isEmpty ? .success : .problemsFound
    }

    /// Notifications about the cluster.
    func telling(of cluster: ClusterConfiguration) throws -> Telling {
        Telling(of: cluster, to: try configuration().notifiers, try installation(), context())
    }

    /// This installation, for settings and commands that a job writes.
    func installation() throws -> Installation {
        Installation(executable: try leanExecutable(), configuration: try configurationPath())
    }
}
