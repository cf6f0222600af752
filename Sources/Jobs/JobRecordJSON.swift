import Documents
public import Repository
import WAL

/// The content of a job's document in the repository (docs/repository.md).
struct JobDocument: Codable, Sendable {
    var job: JobKind
    var cluster: String
    var started: String
    var finished: String
    var durationSeconds: Double
    var result: JobRecord.Result
    var exitStatus: Int32
    var message: String?
    var detail: String?
    var hint: String?
    var facts: [String: String]
    var user: String
    var host: String
    /// In the document's head.
    var tidemarkVersion: String?

    init(_ record: JobRecord) {
        job = record.kind
        cluster = record.cluster
        started = record.started.iso8601
        finished = record.finished.iso8601
        durationSeconds = Double(record.duration) / 1000
        result = record.result
        exitStatus = record.exitStatus
        (message, detail, hint, facts) = (record.message, record.detail, record.hint, record.facts)
        (user, host) = (record.user, record.host)
    }

    /// Nil when a time is malformed.
    fileprivate var record: JobRecord? {
        guard let started = Moment(iso8601: started), let finished = Moment(iso8601: finished) else { return nil }
        return JobRecord(
            kind: job, cluster: cluster, started: started, finished: finished, result: result, exitStatus: exitStatus,
            message: message, detail: detail, hint: hint, facts: facts, user: user, host: host,
            tidemarkVersion: tidemarkVersion ?? "")
    }
}

extension JobRecord {
    /// The stored form.
    public func document() throws -> SealedDocument {
        try SealedDocument(.job, of: JobDocument(self), version: tidemarkVersion)
    }

    /// The form that `tidemark history --json` prints.
    public var printed: some Encodable { PrintedDocument(JobDocument(self), version: tidemarkVersion) }

    /// - Parameter bytes: the stored document.
    init(stored bytes: [UInt8]) throws(DocumentFault) {
        try self.init(SealedDocument(.job, stored: bytes))
    }

    init(_ document: SealedDocument) throws(DocumentFault) {
        guard let record = try document.value(JobDocument.self).record else {
            throw .impossible("A time in it is malformed.")
        }
        self = record
    }
}
