import Archiving
import BaseBackup
import Configuration
import DataDirectory
import Glibc
import Monitoring
import Operations
import Platform
import Repository
import WAL

/// Runs a command that is a job, and writes down in the repository how it went. Nothing that goes wrong here changes
/// what the job itself reports.
enum JobWatch {
    static func run(_ command: any Command.Type, _ invocation: Invocation) throws -> ExitStatus {
        guard let kind = JobKind(rawValue: command.grammar.command), !invocation.arguments.has("dry-run") else {
            return try command.run(invocation)
        }
        return try watch(kind, invocation) { try command.run(invocation) }
    }

    /// The same for a job that another one does on the way; `invocation` has notes of its own.
    static func watch(_ kind: JobKind, _ invocation: Invocation, _ job: () throws -> ExitStatus) throws -> ExitStatus {
        // Asked now: a job started by root gives up root.
        let user = startedBy()
        let started = Moment(microseconds: Clock.now)
        Interruption.note(kind, since: started, invocation.notes)
        defer { Interruption.noteRecorded(invocation.notes) }
        // As long as it lives, the job and its record work in the same directory, whatever is mounted there at the end.
        let repository = (try? invocation.cluster(becomeOwner: false))?.openRepository()
        defer { withExtendedLifetime(repository) {} }
        func finish(_ status: ExitStatus, _ error: (any Error)?) {
            guard status != .usage, status != .interrupted else { return }
            // What was refused before anything was done is no failed job: a slip at the keyboard alarms nobody.
            if let error, !invocation.notes.hasBegun || error is any Refusal { return }
            let explained = error as? any Explained
            var job = JobRecord(
                kind: kind, cluster: "", started: started, finished: Moment(microseconds: Clock.now),
                result: status == .success ? .success : status == .problemsFound ? .problems : .failure,
                exitStatus: status.rawValue, message: (explained?.message ?? error.map { "\($0)" }).map(withoutSecrets),
                detail: explained?.detail.map(withoutSecrets), hint: explained?.hint.map(withoutSecrets),
                facts: invocation.notes.all.mapValues(withoutSecrets), user: user,
                host: hostName(), tidemarkVersion: CommandLineTool.version)
            defer { Interruption.noteRecorded(invocation.notes) }
            do {
                let cluster = try invocation.cluster()
                job.cluster = cluster.name
                // Told before it is recorded: a repository that can't be written to is the very thing to tell of.
                if let notification = job.notification { Telling.tell([notification], of: cluster, invocation) }
                try record(job, of: cluster, invocation.log)
            } catch {
                invocation.log(.warning, "could not record the job: \(error)")
            }
        }
        do {
            let status = try job()
            LastStep.run(nil) { finish(status, nil) }
            return status
        } catch {
            Interruption.comesTooLate()
            finish(CommandLineTool.status(of: error), error)
            throw error
        }
    }

    /// A job that an interruption has ended when part of it was done for good. Like any interrupted one it is no failure.
    static func recordInterrupted(_ job: Interruption.Job, _ message: String, _ invocation: Invocation) {
        do {
            let cluster = try invocation.cluster()
            try record(
                JobRecord(
                    kind: job.kind, cluster: cluster.name, started: Moment(microseconds: job.started),
                    finished: Moment(microseconds: Clock.now), result: .success,
                    exitStatus: ExitStatus.interrupted.rawValue, message: withoutSecrets(message),
                    facts: job.facts.mapValues(withoutSecrets), user: startedBy(), host: hostName(),
                    tidemarkVersion: CommandLineTool.version), of: cluster, invocation.log)
        } catch { invocation.log(.warning, "could not record the job: \(error)") }
    }

    /// Writes into another incarnation's journal what a job has done there.
    static func record(
        _ kind: JobKind, of incarnation: Incarnation, since started: Moment, _ facts: [String: String],
        _ invocation: Invocation
    ) {
        do {
            let cluster = try invocation.cluster()
            try JobJournal(of: cluster.openRepository().archive(incarnation)).record(
                JobRecord(
                    kind: kind, cluster: cluster.name, started: started, finished: Moment(microseconds: Clock.now),
                    result: .success, facts: facts, user: startedBy(), host: hostName(),
                    tidemarkVersion: CommandLineTool.version))
        } catch { invocation.log(.warning, "could not record the job in the repository: \(error)") }
    }

    /// In the repository; while that is away or full, in the state directory.
    private static func record(_ job: JobRecord, of cluster: ClusterConfiguration, _ log: Log) throws {
        do { try journal(of: cluster).record(job) } catch {
            let kept = KeptJobs(of: cluster)
            let reason = (error as? any Explained)?.message ?? "\(error)"
            try kept.keep(job)
            log(
                .warning, "could not record the job in the repository: \(reason)",
                detail: "Its record is kept in \"\(kept.directory)\" until the repository takes it.")
        }
    }

    /// The journal of the cluster as it is now; without a data directory, of what the repository knows last. What was kept
    /// for it is in it from now on, where this user may write there.
    static func journal(of cluster: ClusterConfiguration) throws -> JobJournal {
        let kept = KeptJobs(of: cluster)
        let journal = JobJournal(of: try currentArchive(of: cluster), kept: kept)
        try? kept.carryOver(to: journal)
        return journal
    }

    /// Who started this process: root's sudo user is more telling than "root".
    private static func startedBy() -> String {
        if let name = getenv("SUDO_USER"), geteuid() == 0 { return String(cString: name) }
        guard let entry = getpwuid(geteuid()) else { return "uid \(geteuid())" }
        return String(cString: entry.pointee.pw_name)
    }
}

/// The archive of the incarnation in use.
func currentArchive(of cluster: ClusterConfiguration) throws -> ClusterArchive {
    try incarnations(of: cluster).current
}

/// - Throws: when the repository holds nothing of the cluster.
func incarnations(of cluster: ClusterConfiguration) throws -> ClusterIncarnations {
    guard
        let known = try ClusterIncarnations(
            of: cluster.name, dataDirectory: cluster.dataDirectory, in: cluster.openRepository())
    else {
        throw Problem(
            "cluster \"\(cluster.name)\" is not in repository \"\(cluster.repository)\"",
            hint: "Create its place with \"tidemark init\".")
    }
    return known
}
