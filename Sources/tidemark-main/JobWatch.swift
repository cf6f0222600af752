import Configuration
import DataDirectory
import Glibc
import Monitoring
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
        func finish(_ status: ExitStatus, _ error: (any Error)?) {
            guard status != .usage, status != .interrupted else { return }
            let explained = error as? any Explained
            var job = JobRecord(
                kind: kind, cluster: "", started: started, finished: Moment(microseconds: Clock.now),
                result: status == .success ? .success : status == .problemsFound ? .problems : .failure,
                exitStatus: status.rawValue, message: explained?.message ?? error.map { "\($0)" },
                detail: explained?.detail, hint: explained?.hint, facts: invocation.notes.all, user: user,
                host: hostName(), tidemarkVersion: CommandLineTool.version)
            do {
                let cluster = try invocation.cluster()
                job.cluster = cluster.name
                // Told before it is recorded: a repository that can't be written to is the very thing to tell of.
                if let notification = job.notification { Telling.tell([notification], of: cluster, invocation) }
                try journal(of: cluster).record(job)
            } catch {
                invocation.log(.warning, "could not record the job in the repository: \(error)")
            }
        }
        do {
            let status = try job()
            finish(status, nil)
            return status
        } catch {
            finish(CommandLineTool.status(of: error), error)
            throw error
        }
    }

    /// The journal of the cluster as it is now; without a data directory, of what the repository knows last.
    static func journal(of cluster: ClusterConfiguration) throws -> JobJournal {
        let store = DirectoryStore(cluster.repository)
        return JobJournal(of: try currentIncarnation(of: cluster, in: store), in: store)
    }

    /// Who started this process: root's sudo user is more telling than "root".
    private static func startedBy() -> String {
        if let name = getenv("SUDO_USER"), geteuid() == 0 { return String(cString: name) }
        guard let entry = getpwuid(geteuid()) else { return "uid \(geteuid())" }
        return String(cString: entry.pointee.pw_name)
    }
}

/// The incarnation the data directory belongs to; when there is none (any more), the newest one in the repository.
func currentIncarnation(of cluster: ClusterConfiguration, in store: any ObjectStore) throws -> Incarnation {
    let directory = DataDirectory(cluster.dataDirectory)
    if let control = try? directory.controlFile(), let major = try? directory.majorVersion() {
        let current = Incarnation(cluster: cluster.name, major: major, systemIdentifier: control.systemIdentifier)
        if try store.exists(current.marker) { return current }
    }
    guard let newest = try store.incarnations(of: cluster.name).last else {
        throw Problem(
            "cluster \"\(cluster.name)\" is not in repository \"\(cluster.repository)\"",
            hint: "Create its place with \"tidemark init\".")
    }
    return newest
}

func hostName() -> String {
    var system = utsname()
    uname(&system)
    return withUnsafeBytes(of: &system.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
