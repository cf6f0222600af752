import Archiving
import Configuration
import Glibc
import Jobs
import Operations
import Platform
import WAL

/// Runs a command that is a job, and records its result in the repository. Errors here don't change what the job itself
/// reports.
enum JobWatch {
    static func run(_ command: any Command.Type, _ invocation: Invocation) throws -> ExitStatus {
        guard let kind = command.jobKind, !invocation.arguments.has("dry-run") else {
            return try started(command, invocation)
        }
        return try watch(kind, invocation) { try started(command, invocation) }
    }

    private static func started(_ command: any Command.Type, _ invocation: Invocation) throws -> ExitStatus {
        do { return try command.run(invocation) } catch let error as SystemError {
            throw (try? invocation.cluster()).flatMap { UnusableDirectory(error, of: $0) } ?? error
        }
    }

    /// The same for a job within another one; `invocation` has notes of its own.
    static func watch(_ kind: JobKind, _ invocation: Invocation, _ job: () throws -> ExitStatus) throws -> ExitStatus {
        // Determined now: a job started by root gives up root.
        let origin = origin()
        let started = Moment(microseconds: Clock.now)
        Interruption.note(kind, since: started, invocation.notes)
        defer { Interruption.noteRecorded(invocation.notes) }
        // While it exists, the job and its record use the same directory, whatever is mounted there at the end.
        let repository = (try? invocation.cluster())?.openRepository()
        defer { withExtendedLifetime(repository) {} }
        func finish(_ status: ExitStatus, _ error: (any Error)?) {
            guard status != .usage, status != .interrupted,
                JobRecords.isWorthRecording(error, invocation.notes)
            else { return }
            defer { Interruption.noteRecorded(invocation.notes) }
            do {
                let cluster = try invocation.becomeOwner()
                try JobRecords(of: cluster, by: origin, invocation.context()).add(
                    kind, since: started,
                    status == .success ? .success : status == .problemsFound ? .problems : .failure,
                    exitStatus: status.rawValue, error: error, telling: invocation.telling(of: cluster))
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

    /// Records a job that was interrupted when part of it was permanently done. Like any interrupted job it hasn't
    /// failed.
    static func recordInterrupted(_ job: Interruption.Job, _ message: String, _ invocation: Invocation) {
        do {
            JobRecords(of: try invocation.becomeOwner(), by: origin(), invocation.context()).addInterrupted(
                job.kind, since: Moment(microseconds: job.started), exitStatus: ExitStatus.interrupted.rawValue,
                job.facts, message)
        } catch { invocation.log(.warning, "could not record the job: \(error)") }
    }

    static func origin() -> JobOrigin { JobOrigin(user: startedBy(), tidemarkVersion: CommandLineTool.version) }

    /// Who started this process; the sudo user says more than "root".
    private static func startedBy() -> String {
        if let name = getenv("SUDO_USER"), geteuid() == 0 { return String(cString: name) }
        guard let entry = getpwuid(geteuid()) else { return "uid \(geteuid())" }
        return String(cString: entry.pointee.pw_name)
    }
}

extension JobCancelled: ExitStatusProviding {
    var exitStatus: ExitStatus { .interrupted }
}
