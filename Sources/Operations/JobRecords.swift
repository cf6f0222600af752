import Archiving
public import Configuration
public import Jobs
import Platform
import Repository
public import WAL

/// Who does jobs: what their records say.
public struct JobOrigin: Sendable {
    /// As the operating system names who started them.
    public let user: String
    public let tidemarkVersion: String

    public init(user: String, tidemarkVersion: String) {
        (self.user, self.tidemarkVersion) = (user, tidemarkVersion)
    }
}

/// Writes down in the repository how the jobs of a cluster went, and tells of it. Nothing that goes wrong here changes what
/// a job itself reports.
public struct JobRecords: Sendable {
    private let cluster: ClusterConfiguration
    private let origin: JobOrigin
    private let context: JobContext

    public init(of cluster: ClusterConfiguration, by origin: JobOrigin, _ context: JobContext) {
        (self.cluster, self.origin, self.context) = (cluster, origin, context)
    }

    /// What was refused before anything was done is no failed job: a slip at the keyboard alarms nobody.
    public static func isWorthRecording(_ error: (any Error)?, _ notes: JobNotes) -> Bool {
        guard let error else { return true }
        return notes.hasBegun && !(error is any Refusal)
    }

    /// Records a finished job.
    ///
    /// - Parameters:
    ///   - error: what ended it.
    ///   - telling: tells whoever wants to hear of such a job.
    public func add(
        _ kind: JobKind, since started: Moment, _ result: JobRecord.Result, exitStatus: Int32, error: (any Error)?,
        telling: Telling
    ) {
        let explained = error as? any Explained
        var job = record(kind, since: started, result, exitStatus: exitStatus, facts: context.notes.all)
        job.message = (explained?.message ?? error.map { "\($0)" }).map(withoutSecrets)
        job.detail = explained?.detail.map(withoutSecrets)
        job.hint = explained?.hint.map(withoutSecrets)
        // Told before it is recorded: a repository that can't be written to is the very thing to tell of.
        if let notification = job.notification { telling.tell([notification]) }
        keep(job)
    }

    /// Records a job that an interruption has ended when part of it was done for good. Like any interrupted one it is no
    /// failure.
    public func addInterrupted(
        _ kind: JobKind, since started: Moment, exitStatus: Int32, _ facts: [String: String], _ message: String
    ) {
        var job = record(kind, since: started, .success, exitStatus: exitStatus, facts: facts)
        job.message = withoutSecrets(message)
        keep(job)
    }

    /// Writes into another incarnation's journal what a job has done there.
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

    /// In the repository; while that is away or full, in the state directory.
    private func keep(_ job: JobRecord) {
        do {
            do { try JobRecords.journal(of: cluster).record(job) } catch {
                let kept = KeptJobs(of: cluster)
                let reason = (error as? any Explained)?.message ?? "\(error)"
                try kept.keep(job)
                context.note(
                    .warning, "could not record the job in the repository: \(reason)",
                    detail: "Its record is kept in \"\(kept.directory)\" until it can be written to the repository.")
            }
        } catch { context.note(.warning, "could not record the job: \(error)") }
    }

    /// The journal of the cluster as it is now; without a data directory, of what the repository knows last. What was kept
    /// for it is in it from now on, where this user may write there.
    public static func journal(of cluster: ClusterConfiguration) throws -> JobJournal {
        let kept = KeptJobs(of: cluster)
        let journal = JobJournal(of: try currentArchive(of: cluster), kept: kept)
        try? kept.carryOver(to: journal)
        return journal
    }
}
