import Archiving
import Catalog
import Configuration
import Operations
import WAL

/// The part of `tidemark verify` that reads the archive.
enum VerifyWAL {
    static let options: [Grammar.Option] = [
        .init(
            "wal",
            "only the archived WAL, not the backups"),
        .init("from", value: "TIME|LSN", "with --wal: nothing before this"),
        .init("to", value: "TIME|LSN", "with --wal: nothing after this"),
    ]

    struct Document: Encodable {
        struct Problem: Encodable {
            let segment: String?
            let message: String
            let detail: String?
        }
        let segments, otherFiles, unread: Int
        let bytes: UInt64
        let storedBytes: Int64
        let records: UInt64
        let problems: [Problem]
    }

    /// The archive of the cluster as it is now, and nothing else.
    static func run(_ invocation: Invocation) throws -> ExitStatus {
        guard invocation.arguments.words.isEmpty, !invocation.arguments.has("latest") else {
            throw UsageError("--wal goes without backups", hint: "Verify them with a command of their own.")
        }
        let cluster = try invocation.cluster()
        invocation.notes.begin()
        let range = try range(invocation, cluster)
        let job = VerifyJob(of: cluster, policy: try invocation.policy(for: cluster), invocation.context(progress))
        defer { invocation.terminal.finishProgress() }
        let verification = try job.runWAL(range)
        invocation.terminal.finishProgress()
        if invocation.json {
            try invocation.print(json: document(verification))
        } else {
            invocation.print(text(verification))
        }
        return verification.problems.isEmpty ? .success : .problemsFound
    }

    @Sendable static func progress(_ progress: JobProgress) -> String {
        switch progress {
        case .verifying(let backup, let progress): "verifying \(backup): \(progress.text)"
        case .verifyingWAL(let done, let total): "verifying WAL: \(done) of \(total) segments"
        default: ""
        }
    }

    static func document(_ verification: ArchiveVerification) -> Document {
        Document(
            segments: verification.segments, otherFiles: verification.otherFiles, unread: verification.unread,
            bytes: verification.bytes, storedBytes: verification.storedBytes, records: verification.records,
            problems: verification.problems.map {
                .init(segment: $0.segment?.description, message: $0.message, detail: $0.detail)
            })
    }

    static func text(_ verification: ArchiveVerification) -> String {
        "\(verification.segments) segments (\(size(Int64(clamping: verification.bytes))), stored in "
            + "\(size(verification.storedBytes))) with \(verification.records) records and "
            + "\(verification.otherFiles) other files read; \(verification.problems.count) problems"
            + (verification.unread > 0
                ? "\n\(verification.unread) segments are of a PostgreSQL version this tidemark does not know: only their "
                    + "checksums were verified."
                : "")
    }

    /// The stretch that is meant; a time stands for the segments in which a transaction ended by then.
    private static func range(_ invocation: Invocation, _ cluster: ClusterConfiguration) throws -> ClosedRange<LSN>? {
        let arguments = invocation.arguments
        guard arguments.has("from") || arguments.has("to") else { return nil }
        func position(_ option: String, isEnd: Bool) throws -> LSN? {
            guard let text = arguments.value(option) else { return nil }
            if let lsn = LSN(text) { return lsn }
            let moment = try Moment(parsing: text, zone: cluster.timezone)
            let access = try invocation.catalogAccess()
            return try access.ask { catalog in
                let set = try catalog.segments()
                let found = try set.timelines.compactMap { timeline in
                    try catalog.firstEnding(
                        after: moment, orAt: !isEnd, of: timeline, 0...(set.highest(on: timeline) ?? 0))
                }
                let starts = found.map { $0.start(segmentSize: set.segmentSize) }
                return isEnd ? starts.max().map { $0 + UInt64(set.segmentSize - 1) } : starts.min()
            }
        }
        let from = try position("from", isEnd: false) ?? .zero
        let to = try position("to", isEnd: true) ?? LSN(.max)
        guard from <= to else { throw UsageError("--from is after --to") }
        return from...to
    }
}
