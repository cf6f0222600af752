import Archiving
import BaseBackup
import Configuration
import Monitoring
import Platform
import Repository
import WAL

enum VerifyCommand: Command {
    static let grammar = Grammar(
        "verify", "check backups and archived WAL in the repository",
        description: [
            "Reads every frame of all backups, or of the named ones, without a server: the manifest is complete, every pack fits it, every frame "
                + "decompresses to the content it had, every page has its checksum, and the WAL that the backup needs is there and "
                + "continuous. All problems are reported; the result is recorded and shown by \"tidemark list\". WAL that is missing "
                + "after a backup is reported, too; it is no fault of the backup.",
            "Unless backups are named, it then reads every archived segment: every record of it, and that it goes on where the one "
                + "before it ended. --backups and --wal read one part only. \"tidemark check\" knows how long ago each was read, and "
                + "plan, window and status report damage that was found and is still there.",
            "A verification that was interrupted less than a day ago goes on where it was.",
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
        invocation.notes.begin()
        let (backups, unreadable) = try chosen(invocation, try incarnations(of: cluster))
        let request = VerifyRequest(
            jobs: cluster.jobs, progressDirectory: cluster.state.verification)
        let (terminal, log) = (invocation.terminal, invocation.log)
        var documents: [Document] = []
        var problems = unreadable.count
        var damaged: [String] = []
        var others = problems
        var known: [ArchiveProblem] = []
        if isPart { invocation.notes(VerifiedPart.only, backups.map(\.1.label).joined(separator: " ")) }
        for reason in unreadable { log(.error, reason) }
        for archive in try incarnations(of: cluster).all {
            do { _ = try archive.isConfirmed() } catch {
                log(.error, error)
                problems += 1
                others += 1
            }
            if isPart { continue }
            archive.proveRecords { error in
                log(.error, error)
                problems += 1
                others += 1
            }
        }
        var logs: [Incarnation: ArchivedLog] = [:]
        var told: [LineageGap] = []
        for (archive, backup) in backups {
            let report: VerifyReport
            do {
                defer { terminal.finishProgress() }
                report = try verifyBackup(backup, of: archive, request: request) { progress in
                    terminal.progress("verifying \(backup.label): \(progress.text)", log: log)
                }
            } catch let error as NoSuchBackup where labels.isEmpty {
                log(.warning, "backup \"\(backup.label)\" was removed meanwhile", detail: "\(error.message).")
                continue
            } catch let error as any Explained where backups.count > 1 {
                // Nothing is known of this one; that is no reason not to look at the others.
                log(.error, error)
                problems += 1
                others += 1
                continue
            }
            do { try recordVerification(report, of: archive) } catch let error as SystemError {
                guard (try? archive.isConfirmed()) == true else { throw error }
                log(
                    .error, "the verification of backup \"\(backup.label)\" could not be recorded",
                    detail: "\(error.message).", hint: error.hint)
                problems += 1
                others += 1
            }
            problems += report.problems.count
            if !report.problems.isEmpty { damaged.append(report.label) }
            for problem in report.problems { log(.error, problem) }
            let archived =
                try logs[archive.incarnation]
                ?? archivedLog(
                    of: archive,
                    expired: { try WALGaps.expired(cluster, archive, segmentSize: $0, invocation) })
            logs[archive.incarnation] = archived
            let gaps = archived.gaps(behind: backup.stopLSN, on: backup.timeline)
            for gap in gaps where !told.contains(gap) { told.append(gap) }
            documents.append(
                Document(
                    label: report.label,
                    problems: report.problems.map { .init(message: $0.message, detail: $0.detail) },
                    gaps: gaps.map {
                        .init(first: $0.first.description, last: $0.last.description, segments: $0.count)
                    },
                    packs: report.packs, skippedPacks: report.skippedPacks, frames: report.frames,
                    segments: report.segments, bytes: report.bytes, pages: report.pages, seconds: report.seconds))
            if !invocation.json { invocation.print(line(report)) }
        }
        if backups.isEmpty && unreadable.isEmpty && !invocation.json {
            invocation.print("Cluster \"\(cluster.name)\" has no complete backup.")
        }
        invocation.notes("backups", backups.count)
        invocation.notes("backup_problems", problems)
        invocation.notes(VerifiedPart.backups.others, others)
        if !told.isEmpty { invocation.notes("gaps", told.count) }
        let gaps = told.map { ArchiveProblem($0) }
        known += gaps
        if isPart || arguments.has("backups") {
            for gap in gaps { log(.error, gap) }
            if invocation.json { try invocation.print(json: documents) }
        } else {
            let archives = try incarnations(of: cluster).all.map {
                try VerifyWAL.read($0, cluster, invocation)
            }
            let found = archives.flatMap(\.problems)
            // Both parts see what is missing after a backup.
            for problem in gaps.filter({ !found.contains($0) }) + found { log(.error, problem) }
            problems += found.count
            known += found
            invocation.notes("segments", archives.reduce(0) { $0 + $1.segments })
            invocation.notes("wal_problems", found.count)
            if invocation.json {
                try invocation.print(json: Whole(backups: documents, wal: archives.map(VerifyWAL.document)))
            } else {
                for archive in archives { invocation.print(VerifyWAL.text(archive)) }
            }
        }
        invocation.notes("problems", problems)
        invocation.notes.found(known, labels: damaged)
        return problems == 0 && told.isEmpty ? .success : .problemsFound
    }

    private static func chosen(
        _ invocation: Invocation, _ known: ClusterIncarnations
    ) throws -> ([(ClusterArchive, BackupDescription)], [any Explained]) {
        let labels = invocation.arguments.words
        if !labels.isEmpty {
            return (
                try labels.map { label in
                    let archive = try known.holding(label)
                    return (archive, try archive.backup(label))
                }, []
            )
        }
        if invocation.arguments.has("latest") {
            return (try known.current.listBackups().complete.suffix(1).map { (known.current, $0) }, [])
        }
        var (backups, unreadable): ([(ClusterArchive, BackupDescription)], [any Explained]) = ([], [])
        for archive in known.all {
            let listing = try archive.listBackups()
            backups += listing.all.map { (archive, $0) }
            unreadable += listing.unreadable.map(\.reason)
        }
        return (backups, unreadable)
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
