import BaseBackup
import Configuration
import Operations
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
                + "plan, window and status report damage that was found and still exists.",
            "A verification that was interrupted less than a day ago continues where it stopped.",
        ],
        words: [.init("LABEL", count: .any, "backups as \"tidemark list\" names them; all when none is named")],
        options: [
            .init("latest", "only the newest backup"),
            .init("backups", "only the backups, not the archived WAL"),
            .init("json", "print JSON"),
        ] + VerifyWAL.options,
        examples: [
            Grammar.Example("tidemark verify", "all backups, and all archived WAL"),
            Grammar.Example("tidemark verify --wal", "every archived segment"),
            Grammar.Example("tidemark verify 20261105T020000Z-full", "one"),
        ],
        exits: [(3, "problems were found, or WAL is missing after a backup")])

    private struct Document: Encodable {
        struct Problem: Encodable {
            let message: String
            let detail: String?
        }
        struct Gap: Encodable {
            let first, last: String
            let segments: Int
        }
        let label: String
        let problems: [Problem]
        /// What of the WAL after the backup is missing: from the backup nothing after it can be reached.
        let gaps: [Gap]
        let packs, skippedPacks, frames, segments: Int
        let bytes, pages: Int64
        let seconds: Double
    }

    /// What `verify` says of both parts.
    private struct Whole: Encodable {
        let backups: [Document]
        let wal: [VerifyWAL.Document]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let arguments = invocation.arguments
        if arguments.has("wal") {
            if arguments.has("backups") { throw UsageError("--wal and --backups exclude each other") }
            return try VerifyWAL.run(invocation)
        }
        if let option = ["from", "to"].first(where: arguments.has) { throw UsageError("--\(option) goes with --wal") }
        let labels = arguments.words
        let isPart = !labels.isEmpty || arguments.has("latest")
        let cluster = try invocation.cluster()
        let job = VerifyJob(
            of: cluster, policy: try invocation.policy(for: cluster), invocation.context(VerifyWAL.progress))
        defer { invocation.terminal.finishProgress() }
        let report = try job.run(chosen(arguments), withWAL: !isPart && !arguments.has("backups")) { backup in
            invocation.terminal.finishProgress()
            if !invocation.json { invocation.print(line(backup.report)) }
        }
        invocation.terminal.finishProgress()
        if report.backups.isEmpty && report.unreadable == 0 && !invocation.json {
            invocation.print("Cluster \"\(cluster.name)\" has no complete backup.")
        }
        let documents = report.backups.map(document)
        if isPart || arguments.has("backups") {
            if invocation.json { try invocation.print(json: documents) }
        } else if invocation.json {
            try invocation.print(json: Whole(backups: documents, wal: report.archives.map(VerifyWAL.document)))
        } else {
            for archive in report.archives { invocation.print(VerifyWAL.text(archive)) }
        }
        return report.isGood ? .success : .problemsFound
    }

    private static func chosen(_ arguments: Arguments) -> VerifiedBackups {
        if !arguments.words.isEmpty { return .named(arguments.words) }
        return arguments.has("latest") ? .newest : .all
    }

    private static func document(_ backup: VerifyJob.Backup) -> Document {
        let report = backup.report
        return Document(
            label: report.label,
            problems: report.problems.map { .init(message: $0.message, detail: $0.detail) },
            gaps: backup.gaps.map {
                .init(first: $0.first.description, last: $0.last.description, segments: $0.count)
            },
            packs: report.packs, skippedPacks: report.skippedPacks, frames: report.frames,
            segments: report.segments, bytes: report.bytes, pages: report.pages, seconds: report.seconds)
    }

    private static func line(_ report: VerifyReport) -> String {
        let verdict =
            switch report.problems.count {
            case 0: "good"
            case 1: "1 problem"
            case let count: "\(count) problems"
            }
        let before =
            report.skippedPacks == 0
            ? ""
            : "; \(report.skippedPacks) of \(report.packs) packs \(report.skippedPacks == 1 ? "was" : "were") found good "
                + "before an interruption"
        return "backup \(report.label): \(verdict); \(size(report.bytes)) in \(report.frames) frames, "
            + "\(report.pages) pages and \(report.segments) WAL segments read, "
            + Quantity.pretty(milliseconds: Int64(report.seconds * 1000)) + before
    }
}
