import Archiving
import Catalog
import Configuration
import Platform
import Repository
import WAL

/// `tidemark verify --wal`: the archive instead of the backups.
enum VerifyWAL {
    static let options: [Grammar.Option] = [
        .init(
            "wal",
            "check the archived WAL instead of backups: every record of every segment, and the links between them"),
        .init("from", value: "TIME|LSN", "with --wal: nothing before this"),
        .init("to", value: "TIME|LSN", "with --wal: nothing after this"),
    ]

    private struct Document: Encodable {
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

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        guard invocation.arguments.words.isEmpty, !invocation.arguments.has("latest") else {
            throw UsageError("--wal goes without backups", hint: "Verify them with a command of their own.")
        }
        let cluster = try invocation.cluster()
        let store = DirectoryStore(cluster.repository)
        let incarnation = try currentIncarnation(of: cluster, in: store)
        let range = try range(invocation, cluster)
        let (terminal, log) = (invocation.terminal, invocation.log)
        let verification: ArchiveVerification
        do {
            defer { terminal.finishProgress() }
            verification = try verifyArchive(
                of: incarnation, in: store, range: range,
                expired: { try WALGaps.expired(cluster, incarnation, store, segmentSize: $0, invocation) },
                jobs: cluster.jobs,
                progress: { done, all in
                    terminal.progress("verifying WAL: \(done) of \(all) segments", log: log)
                })
        }
        invocation.notes("segments", verification.segments)
        invocation.notes("problems", verification.problems.count)
        for problem in verification.problems { log(.error, problem) }
        if invocation.json {
            try invocation.print(
                json: Document(
                    segments: verification.segments, otherFiles: verification.otherFiles, unread: verification.unread,
                    bytes: verification.bytes, storedBytes: verification.storedBytes, records: verification.records,
                    problems: verification.problems.map {
                        .init(segment: $0.segment?.description, message: $0.message, detail: $0.detail)
                    }))
        } else {
            invocation.print(
                "\(verification.segments) segments (\(size(Int64(clamping: verification.bytes))), stored in "
                    + "\(size(verification.storedBytes))) with \(verification.records) records and "
                    + "\(verification.otherFiles) other files read; \(verification.problems.count) problems")
            if verification.unread > 0 {
                invocation.print(
                    "\(verification.unread) segments are of a PostgreSQL version this tidemark does not know: only their "
                        + "checksums were verified.")
            }
        }
        return verification.problems.isEmpty ? .success : .problemsFound
    }

    /// The stretch that is meant; a time stands for the segments in which a transaction ended by then.
    private static func range(_ invocation: Invocation, _ cluster: ClusterConfiguration) throws -> ClosedRange<LSN>? {
        let arguments = invocation.arguments
        guard arguments.has("from") || arguments.has("to") else { return nil }
        func position(_ option: String, isEnd: Bool) throws -> LSN? {
            guard let text = arguments.value(option) else { return nil }
            if let lsn = LSN(text) { return lsn }
            let moment = try Moment(parsing: text, zone: cluster.timezone)
            let access = try CatalogAccess(invocation)
            return try access.ask(invocation) { catalog in
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
        guard from <= to else { throw UsageError("--from is behind --to") }
        return from...to
    }
}
