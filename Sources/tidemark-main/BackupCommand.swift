import BaseBackup
import Configuration
import DataDirectory
import Jobs
import Monitoring
import Operations
import Platform
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

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        switch arguments.value("type") {
        case nil, "full": break
        case "incr", "incremental":
            throw UsageError("incremental backups are not available yet", hint: "Use --type full.")
        case let other?: throw UsageError("option --type takes full, not \"\(other)\"")
        }
        let cluster = try invocation.clusterWithPlacesApart()
        var job = try BackupJob(of: cluster, by: JobWatch.origin(), invocation.context(progress))
        job.request.fastCheckpoint = !arguments.has("spread-checkpoint")
        job.request.note = arguments.value("note")
        try readOptions(arguments, into: &job.request)
        let (terminal, log) = (invocation.terminal, invocation.log)
        let backup: BackupDescription
        do {
            defer { terminal.finishProgress() }
            backup = try job.run()
        }
        if invocation.json {
            invocation.print(String(decoding: try backup.json(), as: UTF8.self))
        } else {
            invocation.print(summary(backup))
        }
        for page in backup.corruptPages {
            let relation = page.relation.map { " of \($0)" } ?? ""
            log(.warning, "block \(page.block)\(relation) in file \"\(page.path)\" has a wrong checksum")
        }
        if !arguments.has("no-expire") { expire(cluster, invocation) }
        return backup.corruptPages.isEmpty ? .success : .problemsFound
    }

    @Sendable private static func progress(_ progress: JobProgress) -> String {
        switch progress {
        case .waitingForCheckpoint: "waiting for the server's checkpoint"
        case .copying(let progress): "copying: " + progress.text
        case .waitingForWAL(let file, let behind): "waiting for WAL file \"\(file)\": \(behind)"
        default: ""
        }
    }

    private static func readOptions(_ arguments: Arguments, into request: inout BackupRequest) throws {
        request.isPinned = arguments.has("pin")
        request.resumes = arguments.has("resume")
        if let date = arguments.value("pin-until") {
            guard let moment = BackupRequest.endOfDay(date) else {
                throw UsageError("option --pin-until takes a date, YYYY-MM-DD, not \"\(date)\"")
            }
            request.isPinned = true
            request.pinnedUntil = moment
        }
        if let text = arguments.value("rate-limit") {
            guard let bytes = Quantity.bytes(text), bytes > 0 else {
                throw UsageError(
                    "option --rate-limit takes a size per second, not \"\(text)\"",
                    hint: "Valid units are \"B\", \"kB\", \"MB\", \"GB\" and \"TB\".")
            }
            request.rateLimit = bytes
        }
        if arguments.has("idle") { Priority.lower() }
    }

    /// The backup is complete; an expiry that fails doesn't change that.
    private static func expire(_ cluster: ClusterConfiguration, _ invocation: Invocation) {
        do {
            let policy = try invocation.policy(for: cluster)
            guard !policy.isEmpty else { return }
            let expiry = Invocation(arguments: invocation.arguments, log: invocation.log)
            _ = try JobWatch.watch(.expire, expiry) {
                let done = try ExpireJob(of: cluster, by: policy, JobWatch.origin(), expiry.context()).run()
                for line in ExpireText.lines(done, dryRun: false) { invocation.log(.log, line) }
                return ExpireText.conclude(done, expiry)
            }
        } catch { invocation.log(.warning, "the backup is complete, but expiring old ones failed: \(error)") }
    }

    private static func summary(_ backup: BackupDescription) -> String {
        let seconds = Int64(backup.timings.total * 1000)
        return """
            backup \(backup.label): \(size(backup.size)) in \(backup.fileCount) files, \(size(backup.storedSize)) stored, \
            \(Quantity.pretty(milliseconds: seconds))
            It can be recovered to any moment from \(backup.stopTime) on.
            """
    }
}

extension BackupInProgress: ExitStatusProviding {
    var exitStatus: ExitStatus { .locked }
}

extension CopyProgress {
    /// `42 % of 3.1 GB, 210 MB/s, 9 s left`.
    var text: String {
        let percent = total > 0 ? done * 100 / total : 100
        return "\(percent) % of \(size(total)), \(size(Int64(rate)))/s"
            + (secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? "")
    }
}
