import FoundationEssentials
import WAL

/// A job's form in the repository and in `tidemark history --json` (docs/repository.md).
public struct JobDocument: Codable, Sendable {
    var format: Int
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
    var tidemarkVersion: String

    public init(_ record: JobRecord) {
        format = JobDocument.currentFormat
        job = record.kind
        cluster = record.cluster
        started = record.started.iso8601
        finished = record.finished.iso8601
        durationSeconds = Double(record.duration) / 1000
        result = record.result
        exitStatus = record.exitStatus
        (message, detail, hint, facts) = (record.message, record.detail, record.hint, record.facts)
        (user, host, tidemarkVersion) = (record.user, record.host, record.tidemarkVersion)
    }

    static let currentFormat = 1

    /// Nil when a time is malformed or the format is of a later version.
    var record: JobRecord? {
        guard format == JobDocument.currentFormat, let started = Moment(iso8601: started),
            let finished = Moment(iso8601: finished)
        else { return nil }
        return JobRecord(
            kind: job, cluster: cluster, started: started, finished: finished, result: result, exitStatus: exitStatus,
            message: message, detail: detail, hint: hint, facts: facts, user: user, host: host,
            tidemarkVersion: tidemarkVersion)
    }
}

/// JSON as tidemark writes it everywhere: snake_case keys in alphabetical order.
func encodeJSON(_ value: some Encodable, pretty: Bool = true) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting =
        pretty ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value))
}

func decodeJSON<Value: Decodable>(_: Value.Type, from bytes: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Value.self, from: Data(bytes))
}
