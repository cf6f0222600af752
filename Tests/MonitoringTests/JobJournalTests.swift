import Glibc
import Jobs
import Monitoring
import Platform
import Repository
import Support
import Testing
import WAL

struct JobJournalTests {
    private static let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 7)

    private static func job(
        _ kind: JobKind, at time: String, result: JobRecord.Result = .success, seconds: Int64 = 90
    ) throws -> JobRecord {
        let started = try #require(Moment(iso8601: time))
        return JobRecord(
            kind: kind, cluster: "main", started: started,
            finished: Moment(microseconds: started.microseconds + seconds * 1_000_000), result: result,
            exitStatus: result == .success ? 0 : 1, message: result == .success ? nil : "could not reach \"Ω\"",
            detail: "What happened.", hint: nil, facts: ["label": "20261120T101500Z-full", "bytes": "12"],
            user: "postgres", host: "db1", tidemarkVersion: "0.1.0")
    }

    /// A repository of its own for each test: the suite's instance lives as long as its test.
    private let scratch: Scratch
    private let store: DirectoryStore
    private let journal: JobJournal

    init() throws {
        scratch = try Scratch()
        store = DirectoryStore(try scratch.repository(of: "main/15-7"))
        journal = JobJournal(of: ClusterArchive(Self.incarnation, in: store))
    }

    @Test func `what was recorded is read back, oldest first`() throws {
        let jobs = [
            try Self.job(.backup, at: "2026-11-20T10:15:00.5Z"), try Self.job(.drill, at: "2026-10-31T23:59:59Z"),
            try Self.job(.recoverTable, at: "2026-11-20T10:14:59Z", result: .failure),
        ]
        for job in jobs { try journal.record(job) }
        #expect(try journal.contents().jobs == [jobs[1], jobs[2], jobs[0]])
        #expect(jobs[0].duration == 90_000)
    }

    @Test func `only jobs since a given time are read`() throws {
        let times = ["2025-12-31T23:00:00Z", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00.25Z", "2026-11-02T00:00:00Z"]
        for time in times { try journal.record(try Self.job(.verify, at: time)) }
        let since = try #require(Moment(iso8601: "2026-11-01T00:00:00.25Z"))
        #expect(try journal.contents(since: since).jobs.map(\.started.iso8601) == Array(times[2...]))
    }

    @Test func `two jobs of the same second and kind do not get in each other's way`() throws {
        let job = try Self.job(.expire, at: "2026-11-20T10:15:00Z")
        let keys = try (0..<20).map { _ in try journal.record(job) }
        #expect(Set(keys).count == 20)
        #expect(keys[0].description.hasPrefix("main/15-7/job/2026-11/20261120T101500Z-expire-"))
        #expect(try journal.contents().jobs.count == 20)
    }

    @Test(arguments: [
        ("not JSON", "{"), ("another format", #"{"format": 2}"#), ("empty", ""),
        (
            "a malformed time",
            #"{"format":1,"job":"backup","cluster":"main","started":"yesterday","finished":"2026-11-20T10:15:00Z","duration_seconds":1,"result":"success","exit_status":0,"facts":{},"user":"u","host":"h","tidemark_version":"1"}"#
        ),
    ])
    func `an object that is no job's record is skipped and named`(_ name: String, _ content: String) throws {
        let key = Self.incarnation.jobFolder.appending("2026-11").appending("20261120T101500Z-backup-0.json")
        try store.create(key, bytes: Array(content.utf8))
        try journal.record(try Self.job(.backup, at: "2026-11-20T10:15:00Z"))
        let contents = try journal.contents()
        #expect(contents.jobs.count == 1)
        #expect(contents.unreadable.map(\.key) == [key])
    }
}
