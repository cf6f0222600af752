import Documents
import Platform
public import Repository
public import WAL

/// The jobs of one incarnation, in the repository: one small immutable object each, in a folder per month.
///
///     job/2026-11/20261120T101500Z-backup-3f9a02c41b77e5d8.json
public struct JobJournal: Sendable {
    public let archive: ClusterArchive
    private let kept: KeptJobs?

    /// When `tidemark init` created the incarnation; nil when unknown.
    func created() throws -> Moment? {
        struct Marker: Decodable { let created: String }
        let document: SealedDocument?
        do {
            document = try archive.store.document(.incarnation, at: archive.incarnation.marker)
        } catch is DocumentRefused { return nil }
        return (try? document?.value(Marker.self)).flatMap { Moment(iso8601: $0.created) }
    }

    /// - Parameter kept: records that the repository could not take yet; `contents` includes them.
    public init(of archive: ClusterArchive, kept: KeptJobs? = nil) {
        self.archive = archive
        self.kept = kept
    }

    /// Stores a job's record durably; the key contains its start and kind.
    @discardableResult
    public func record(_ job: JobRecord) throws -> RepositoryKey {
        try record(job, as: JobJournal.name(of: job))
    }

    /// Records a job under a name; doing so again under the same name changes nothing.
    @discardableResult
    func record(_ job: JobRecord, as name: String) throws -> RepositoryKey {
        let key = key(of: job, name)
        do {
            try archive.store.create(key, job.document())
        } catch is ObjectExists {
            try archive.store.makeDurable(key)
        }
        // Leftovers of a job that was killed while it wrote its record.
        _ = try? archive.store.removeLeftovers(in: key.folder)
        return key
    }

    private func key(of job: JobRecord, _ name: String) -> RepositoryKey {
        archive.incarnation.jobFolder.appending(JobJournal.month(job.started)).appending(name + ".json")
    }

    /// A name that no other job gets: two jobs may start in the same second, even on two hosts.
    static func name(of job: JobRecord) -> String {
        "\(job.started.compact)-\(job.kind.rawValue)-" + padded(UInt64.random(in: .min ... .max), to: 16, radix: 16)
    }

    /// The contents of the journal.
    public struct Contents: Sendable {
        /// Oldest first.
        public var jobs: [JobRecord] = []
        /// Objects that aren't valid records, or can't be read, each with the reason as a sentence; they are skipped.
        public var unreadable: [(key: RepositoryKey, reason: String)] = []
    }

    /// The jobs that started at or after `since`. Costs a listing per month and one small read per job.
    ///
    /// - Parameter kind: reads only records of this kind.
    public func contents(since: Moment? = nil, kind: JobKind? = nil) throws -> Contents {
        var contents = Contents()
        let firstMonth = since.map(JobJournal.month) ?? ""
        // A record's name begins with the time when the job started.
        let firstName = since?.compact
        for folder in try archive.store.list(archive.incarnation.jobFolder)
        where folder.isFolder && folder.name >= firstMonth {
            let month = archive.incarnation.jobFolder.appending(folder.name)
            func unreadable<Value>(_ key: RepositoryKey, _ body: () throws -> Value?) -> Value? {
                do { return try body() } catch {
                    // The document's key is reported anyway.
                    let reason: String
                    switch error {
                    case let refused as DocumentRefused: reason = refused.fault.sentence
                    case let fault as DocumentFault: reason = fault.sentence
                    default: reason = explanation(of: error)
                    }
                    contents.unreadable.append((key, reason))
                    return nil
                }
            }
            for entry in unreadable(month, { try archive.store.list(month, after: firstName) }) ?? []
            where !entry.isFolder && kind.map({ entry.name.contains("Z-\($0.rawValue)-") }) ?? true {
                let key = month.appending(entry.name)
                let found = unreadable(key) { try archive.store.document(.job, at: key).map { try JobRecord($0) } }
                guard let job = found else { continue }
                if since.map({ job.started >= $0 }) ?? true { contents.jobs.append(job) }
            }
        }
        for (name, job) in (try? kept?.all(of: self)) ?? []
        where since.map({ job.started >= $0 }) ?? true && kind.map({ job.kind == $0 }) ?? true {
            if try archive.store.size(of: key(of: job, name)) == nil { contents.jobs.append(job) }
        }
        contents.jobs.sort { ($0.started, $0.finished) < ($1.started, $1.finished) }
        return contents
    }

    private static func month(_ moment: Moment) -> String {
        let compact = moment.compact
        return compact.prefix(4) + "-" + compact.dropFirst(4).prefix(2)
    }
}
