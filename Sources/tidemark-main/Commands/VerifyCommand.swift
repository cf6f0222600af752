import Archiving
import Configuration
import Jobs
import Operations
import Presentation
import WAL

enum VerifyCommand: Command {
    static let grammar = Grammar(
        "verify", "check backups and archived WAL in the repository",
        description: [
            "Reads every frame of all backups, or of the named ones, without a server: the manifest must be complete, every pack must match it, every frame "
                + "must decompress to its original content, every page must match its checksum, and the WAL that the backup needs must be there and "
                + "continuous. All problems are reported; the result is recorded and shown by \"tidemark list\". WAL that is missing "
                + "after a backup is reported, too, although the backup is not damaged.",
            "Unless backups are named, it then reads every archived segment: every record in it, and whether it continues where the one "
                + "before it ended. --backups and --wal read one part only. \"tidemark check\" shows how long ago each was read, and "
                + "plan, window, list and status report damage that was found and still exists.",
            "A verification that was interrupted less than a day ago continues where it stopped.",
        ],
        words: [
            .init(
                "LABEL", count: .any,
                "backups: labels as in \"tidemark list\", the beginning of one, oldest, latest; all when none is named")
        ],
        options: [
            .init("latest", "only the newest backup"),
            .init("backups", "only the backups, not the archived WAL"),
            .init("json", "print JSON"),
            .init("rate-limit", value: "SIZE", "read at most this much of the repository per second, such as 50MB"),
            .init(
                "wal",
                "only the archived WAL, not the backups"),
            .init("from", value: "TIME|LSN", "with --wal: nothing before this"),
            .init("to", value: "TIME|LSN", "with --wal: nothing after this"),
        ],
        examples: [
            Grammar.Example("tidemark verify", "all backups, and all archived WAL"),
            Grammar.Example("tidemark verify --wal", "every archived segment"),
            Grammar.Example("tidemark verify 20261105T020000Z-full", "one"),
        ],
        exits: [(3, "problems were found, or WAL is missing after a backup")])

    static let jobKind: JobKind? = .verify

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        if arguments.has("wal") {
            if arguments.has("backups") { throw UsageError("--wal and --backups exclude each other") }
            return try verifyWAL(invocation)
        }
        if let option = ["from", "to"].first(where: arguments.has) { throw UsageError("--\(option) goes with --wal") }
        let rateLimit = try arguments.rateLimit()
        let isPart = !arguments.words.isEmpty || arguments.has("latest")
        let cluster = try invocation.becomeOwner()
        let job = VerifyJob(
            of: cluster, policy: try invocation.policy(for: cluster), rateLimit: rateLimit, invocation.context())
        let report = try job.run(chosen(arguments), withWAL: !isPart && !arguments.has("backups")) { backup in
            if !invocation.json { invocation.print(verifiedLine(backup)) }
        }
        if invocation.json {
            if isPart || arguments.has("backups") {
                try invocation.print(json: report.backups.map(VerifiedBackupDocument.init))
            } else {
                try invocation.print(json: VerifyDocument(report))
            }
        } else {
            if report.backups.isEmpty && report.problems == 0 {
                invocation.print("Cluster \"\(cluster.name)\" has no complete backup.")
            }
            for archive in report.archives { invocation.print(verifiedWALText(archive)) }
        }
        return report.isGood ? .success : .problemsFound
    }

    /// Verifies the archive of the incarnation in use, and nothing else.
    private static func verifyWAL(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        guard arguments.words.isEmpty, !arguments.has("latest") else {
            throw UsageError("--wal goes without backups", hint: "Verify them with a command of their own.")
        }
        let rateLimit = try arguments.rateLimit()
        let cluster = try invocation.becomeOwner()
        invocation.notes.begin()
        func place(_ option: String) throws -> WALPlace? {
            try arguments.value(option).map { text in
                try LSN(text).map(WALPlace.lsn) ?? .time(Moment(parsing: text, zone: cluster.timezone))
            }
        }
        let (from, to) = (try place("from"), try place("to"))
        let isBackwards =
            switch (from, to) {
            case (.lsn(let from)?, .lsn(let to)?): from > to
            case (.time(let from)?, .time(let to)?): from > to
            default: false
            }
        if isBackwards { throw UsageError("--from is after --to") }
        let job = VerifyJob(
            of: cluster, policy: try invocation.policy(for: cluster), rateLimit: rateLimit, invocation.context())
        let verification = try job.runWAL(from: from, to: to)
        if invocation.json {
            try invocation.print(json: VerifiedWALDocument(verification))
        } else {
            invocation.print(verifiedWALText(verification))
        }
        return verification.problems.isEmpty ? .success : .problemsFound
    }

    private static func chosen(_ arguments: Arguments) -> VerifiedBackups {
        if !arguments.words.isEmpty { return .named(arguments.words) }
        return arguments.has("latest") ? .newest : .all
    }
}

extension NoStretch: ExitStatusProviding {
    var exitStatus: ExitStatus { .usage }
}
