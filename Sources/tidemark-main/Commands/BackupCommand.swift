import BackupTaking
import Backups
import Configuration
import Jobs
import Operations
import Platform
import Presentation
import Retention
import WAL

enum BackupCommand: Command {
    static let grammar = Grammar(
        "backup", "take a base backup",
        description: [
            "Copies the running cluster into the repository, in parallel and compressed, verifies every page checksum, and waits until "
                + "the WAL that makes the copy consistent has been archived. The server can be a primary or a standby.",
            "A backup that is interrupted is never listed, and doesn't get in the way of the next one.",
        ],
        options: [
            .init("type", value: "TYPE", "full; incremental backups are not available yet"),
            .init("note", value: "TEXT", "a remark that \"tidemark list\" shows"),
            .init("pin", "never expire this backup"),
            .init("pin-until", value: "DATE", "don't expire this backup before the end of that day (UTC), YYYY-MM-DD"),
            .init("no-expire", "don't run \"tidemark expire\" afterwards"),
            .init("resume", "use what an interrupted backup has already stored"),
            .init("rate-limit", value: "SIZE", "read at most this much per second, such as 50MB"),
            .init("idle", "run with the lowest priority for CPU and disk"),
            .init("spread-checkpoint", "let the server spread out its checkpoint instead of doing it at once"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark backup", "a full backup"),
            Grammar.Example("tidemark backup --note 'before the 4.2 migration'", "with a remark"),
        ],
        exits: [
            (3, "the backup is complete, but pages with wrong checksums were found and are listed"),
            (5, "another backup of this cluster is running"),
        ])

    static let jobKind: JobKind? = .backup

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        switch arguments.value("type") {
        case nil, "full": break
        case "incr", "incremental":
            throw UsageError("incremental backups are not available yet", hint: "Use --type full.")
        case let other?: throw UsageError("option --type takes full, not \"\(other)\"")
        }
        let cluster = try invocation.becomeOwnerWithPlacesApart()
        var job = try BackupJob(of: cluster, by: JobWatch.origin(), invocation.context())
        job.request.fastCheckpoint = !arguments.has("spread-checkpoint")
        job.request.note = try arguments.remark("note")
        try readOptions(arguments, into: &job.request)
        let backup = try job.run()
        invocation.print(
            try invocation.json ? String(decoding: backup.json(), as: UTF8.self) : backupText(backup))
        for page in backup.corruptPages { invocation.log(.warning, corruptPageText(page)) }
        if !arguments.has("no-expire") { expire(cluster, invocation) }
        return backup.corruptPages.isEmpty ? .success : .problemsFound
    }

    private static func readOptions(_ arguments: Arguments, into request: inout BackupRequest) throws {
        request.isPinned = arguments.has("pin")
        request.resumes = arguments.has("resume")
        if let date = arguments.value("pin-until") {
            guard let moment = BackupRequest.endOfDay(date) else {
                throw UsageError("option --pin-until takes a date, YYYY-MM-DD, not \"\(date)\"")
            }
            guard moment.microseconds > Clock.now else {
                throw UsageError(
                    "the date of option --pin-until, \(date), is over", hint: "\"--pin\" keeps the backup for good.")
            }
            request.isPinned = true
            request.pinnedUntil = moment
        }
        request.rateLimit = try arguments.rateLimit()
        if arguments.has("idle") { Priority.lower() }
    }

    /// The backup is complete; a failed expiry doesn't change that.
    private static func expire(_ cluster: ClusterConfiguration, _ invocation: Invocation) {
        do {
            let policy = try invocation.policy(for: cluster)
            guard !policy.isEmpty else { return }
            let expiry = Invocation(arguments: invocation.arguments, log: invocation.log)
            _ = try JobWatch.watch(.expire, expiry) {
                let done = try ExpireJob(of: cluster, by: policy, JobWatch.origin(), expiry.context()).run()
                for line in expireLines(done, dryRun: false) { invocation.log(.log, line) }
                return expiry.conclude(done)
            }
        } catch { invocation.log(.warning, "the backup is complete, but expiring old ones failed: \(error)") }
    }
}

extension BackupInProgress: ExitStatusProviding {
    var exitStatus: ExitStatus { .locked }
}
