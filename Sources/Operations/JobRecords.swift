import Archiving
public import Configuration
public import Jobs
import Platform
import Repository
public import WAL

/// The origin of jobs, for their records.
public struct JobOrigin: Sendable {
    /// The operating system's name of the user who started them.
    public let user: String
    public let tidemarkVersion: String

    public init(user: String, tidemarkVersion: String) {
        (self.user, self.tidemarkVersion) = (user, tidemarkVersion)
    }
}

/// Records in the repository how the jobs of a cluster ended, and sends notifications. Errors here don't change what a
/// job itself reports.
public struct JobRecords: Sendable {
    private let cluster: ClusterConfiguration
    private let origin: JobOrigin
    private let context: JobContext

    public init(of cluster: ClusterConfiguration, by origin: JobOrigin, _ context: JobContext) {
        (self.cluster, self.origin, self.context) = (cluster, origin, context)
    }

    /// A job that was refused before it did anything isn't recorded: a typing error is no failure.
    public static func isWorthRecording(_ error: (any Error)?, _ notes: JobNotes) -> Bool {
        guard let error else { return true }
        return notes.hasBegun && !(error is any Refusal)
    }

    /// Records a finished job.
    ///
    /// - Parameters:
    ///   - error: the error that ended it.
    ///   - telling: sends the notification.
    public func add(
        _ kind: JobKind, since started: Moment, _ result: JobRecord.Result, exitStatus: Int32, error: (any Error)?,
        telling: Telling
    ) {
        let explained = error as? any Explained
        var job = record(kind, since: started, result, exitStatus: exitStatus, facts: context.notes.all)
        job.message = (explained?.message ?? error.map { "\($0)" }).map(withoutSecrets)
        job.detail = explained?.detail.map(withoutSecrets)
        job.hint = explained?.hint.map(withoutSecrets)
        // Notified before it is recorded: a repository that can't be written to must be reported as well.
        if let notification = job.notification { telling.tell([notification]) }
        keep(job)
    }

    /// Records a job that was interrupted when part of it was permanently done. Like any interrupted job it hasn't
    /// failed.
    public func addInterrupted(
        _ kind: JobKind, since started: Moment, exitStatus: Int32, _ facts: [String: String], _ message: String
    ) {
        var job = record(kind, since: started, .success, exitStatus: exitStatus, facts: facts)
        job.message = withoutSecrets(message)
        keep(job)
    }

    /// Records in another incarnation's journal what a job has done there.
    func add(_ kind: JobKind, of incarnation: Incarnation, since started: Moment, _ facts: [String: String]) {
        do {
            try JobJournal(of: cluster.openRepository().archive(incarnation))
                .record(record(kind, since: started, .success, exitStatus: 0, facts: facts))
        } catch { context.note(.warning, "could not record the job in the repository: \(error)") }
    }

    private func record(
        _ kind: JobKind, since started: Moment, _ result: JobRecord.Result, exitStatus: Int32, facts: [String: String]
    ) -> JobRecord {
        JobRecord(
            kind: kind, cluster: cluster.name, started: started, finished: Moment(microseconds: Clock.now),
            result: result, exitStatus: exitStatus, facts: facts.mapValues(withoutSecrets), user: origin.user,
            host: hostName(), tidemarkVersion: origin.tidemarkVersion)
    }

    /// In the repository or, while that is away or full, in the state directory.
    private func keep(_ job: JobRecord) {
        do {
            do { try JobRecords.journal(of: cluster).record(job) } catch {
                let kept = KeptJobs(of: cluster)
                let reason = explanation(of: error)
                try kept.keep(job)
                context.note(
                    .warning, "could not record the job in the repository: \(reason)",
                    detail: "Its record is kept in \"\(kept.directory)\" until it can be written to the repository.")
            }
        } catch { context.note(.warning, "could not record the job: \(error)") }
    }

    /// The journal of the cluster's present incarnation or, without a data directory, of the newest one in the
    /// repository. Moves kept records into it, where this user may write there.
    public static func journal(of cluster: ClusterConfiguration) throws -> JobJournal {
        let kept = KeptJobs(of: cluster)
        let journal = JobJournal(of: try currentArchive(of: cluster), kept: kept)
        try? kept.carryOver(to: journal)
        return journal
    }
}
