import Platform
public import Repository
public import WAL

/// The jobs of one incarnation, in the repository: one small immutable object each, in a folder per month.
///
///     job/2026-11/20261120T101500Z-backup-3f9a02c41b77e5d8.json
public struct JobJournal: Sendable {
    public let incarnation: Incarnation
    private let store: any ObjectStore

    public init(of incarnation: Incarnation, in store: any ObjectStore) {
        self.incarnation = incarnation
        self.store = store
    }

    /// Stores a job durably; the key tells when it started and what it was.
    @discardableResult
    public func record(_ job: JobRecord) throws -> RepositoryKey {
        let bytes = try encodeJSON(JobDocument(job)) + [UInt8(ascii: "\n")]
        while true {
            // Two jobs may start in the same second, on two hosts even.
            let digits = String(UInt64.random(in: .min ... .max), radix: 16)
            let name =
                "\(job.started.compact)-\(job.kind.rawValue)-"
                + String(repeating: "0", count: 16 - digits.utf8.count) + digits + ".json"
            let key = incarnation.jobFolder.appending(JobJournal.month(job.started)).appending(name)
            do {
                try store.create(key, bytes: bytes)
                // What a job left that was killed while it wrote its record.
                _ = try? store.removeLeftovers(in: key.folder)
                return key
            } catch is ObjectExists { continue }
        }
    }

    /// What the journal holds.
    public struct Contents: Sendable {
        /// Oldest first.
        public var jobs: [JobRecord] = []
        /// Objects that aren't what tidemark writes; they are passed over.
        public var unreadable: [RepositoryKey] = []
    }

    /// The jobs that started at or after `since`. Costs a listing per month and one small read per job.
    public func contents(since: Moment? = nil) throws -> Contents {
        var contents = Contents()
        let firstMonth = since.map(JobJournal.month) ?? ""
        let firstName = since?.compact ?? ""
        for folder in try store.list(incarnation.jobFolder) where folder.isFolder && folder.name >= firstMonth {
            let month = incarnation.jobFolder.appending(folder.name)
            for entry in try store.list(month) where !entry.isFolder && entry.name >= firstName {
                let key = month.appending(entry.name)
                guard let bytes = try store.readIfPresent(key, limit: 1 << 20) else { continue }
                if let job = try? decodeJSON(JobDocument.self, from: bytes).record {
                    if since.map({ job.started >= $0 }) ?? true { contents.jobs.append(job) }
                } else {
                    contents.unreadable.append(key)
                }
            }
        }
        contents.jobs.sort { ($0.started, $0.finished) < ($1.started, $1.finished) }
        return contents
    }

    private static func month(_ moment: Moment) -> String {
        let compact = moment.compact
        return compact.prefix(4) + "-" + compact.dropFirst(4).prefix(2)
    }
}
