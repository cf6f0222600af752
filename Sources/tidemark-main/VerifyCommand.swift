import BaseBackup
import Configuration
import Platform
import Repository
import WAL

enum VerifyCommand: Command {
    static let grammar = Grammar(
        "verify", "check backups, or the archived WAL, in the repository",
        description: [
            "Reads every frame of the named backups, or of all, without a server: the manifest is complete, every pack fits it, every frame "
                + "decompresses to the content it had, every page has its checksum, and the WAL that the backup needs is there and "
                + "continuous. All problems are reported; the result is recorded and shown by \"tidemark list\".",
            "A verification that was interrupted less than a day ago goes on where it was.",
        ],
        words: [.init("LABEL", count: .any, "backups as \"tidemark list\" names them; all when none is named")],
        options: [
            .init("latest", "only the newest backup"),
            .init("json", "print JSON"),
        ] + VerifyWAL.options,
        examples: [
            Grammar.Example("tidemark verify", "all backups"),
            Grammar.Example("tidemark verify --wal", "every archived segment"),
            Grammar.Example("tidemark verify 20261105T020000Z-full", "one"),
        ],
        exits: [(3, "problems were found")])

    private struct Document: Encodable {
        struct Problem: Encodable {
            let message: String
            let detail: String?
        }
        let label: String
        let problems: [Problem]
        let packs, skippedPacks, frames, segments: Int
        let bytes, pages: Int64
        let seconds: Double
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        if invocation.arguments.has("wal") { return try VerifyWAL.run(invocation) }
        let cluster = try invocation.cluster()
        let store = DirectoryStore(cluster.repository)
        let incarnation = try currentIncarnation(of: cluster, in: store)
        let (backups, unreadable) = try chosen(invocation, incarnation, store)
        let request = VerifyRequest(
            jobs: cluster.jobs, progressDirectory: cluster.stateDirectory + "/" + cluster.name)
        let (terminal, log) = (invocation.terminal, invocation.log)
        var documents: [Document] = []
        var problems = unreadable.count
        for reason in unreadable { log(.error, reason) }
        for backup in backups {
            let report: VerifyReport
            do {
                defer { terminal.finishProgress() }
                report = try verifyBackup(backup, of: incarnation, in: store, request: request) { progress in
                    terminal.progress("verifying \(backup.label): \(progress.text)", log: log)
                }
            }
            try recordVerification(report, of: incarnation, in: store)
            problems += report.problems.count
            for problem in report.problems { log(.error, problem) }
            documents.append(
                Document(
                    label: report.label,
                    problems: report.problems.map { .init(message: $0.message, detail: $0.detail) },
                    packs: report.packs, skippedPacks: report.skippedPacks, frames: report.frames,
                    segments: report.segments, bytes: report.bytes, pages: report.pages, seconds: report.seconds))
            if !invocation.json { invocation.print(line(report)) }
        }
        invocation.notes("backups", backups.count)
        invocation.notes("problems", problems)
        if invocation.json { try invocation.print(json: documents) }
        if backups.isEmpty && unreadable.isEmpty && !invocation.json {
            invocation.print("Cluster \"\(cluster.name)\" has no complete backup.")
        }
        return problems == 0 ? .success : .problemsFound
    }

    private static func chosen(
        _ invocation: Invocation, _ incarnation: Incarnation, _ store: DirectoryStore
    ) throws -> ([BackupDescription], [any Explained]) {
        let labels = invocation.arguments.words
        if !labels.isEmpty { return (try labels.map { try showBackup($0, of: incarnation, in: store) }, []) }
        let listing = try listBackups(of: incarnation, in: store)
        if invocation.arguments.has("latest") { return (Array(listing.complete.suffix(1)), []) }
        return (listing.complete, listing.unreadable.map(\.reason))
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
