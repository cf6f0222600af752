import Backups
import Configuration
import Jobs
import Monitoring
import Repository
import Setup
import WAL

/// An observation without findings, for tests to change.
enum ObservedCluster {
    static let now = Moment(iso8601: "2026-11-20T12:00:00Z")!
    static let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 7)

    static func daysAgo(_ days: Double) -> Moment {
        Moment(microseconds: now.microseconds - Int64(days * 86_400) * 1_000_000)
    }

    static func backup(_ label: String, days: Double, size: Int64 = 10 << 30, corruptPages: String = "[]") throws
        -> BackupDescription
    {
        let time = daysAgo(days).iso8601
        // The WAL has grown by eight bytes a minute.
        let stop = LSN(UInt64(0x280_0000 - Int(days * 1440) * 8))
        let json = """
            {"label":"\(label)","type":"full","start_time":"\(time)","stop_time":"\(time)","start_lsn":"0/2000028",
            "checkpoint_lsn":"0/2000060","stop_lsn":"\(stop)","timeline":1,"start_segment":"000000010000000000000002",
            "stop_segment":"000000010000000000000002","system_identifier":"7","major":15,"server_version":150020,
            "catalog_version":202209061,"segment_size":16777216,"from_standby":false,"file_count":900,"size":\(size),
            "stored_size":3000000,"packs":[],"tablespaces":[],"checksums":true,"verified_pages":100,
            "corrupt_pages":\(corruptPages),"settings":{},"pinned":false,
            "timings":{"checkpoint":1,"copy":60,"wal_wait":1,"total":62,"bytes":1000}}
            """
        return try BackupDescription(
            stored: SealedDocument(.backup, body: Array(json.utf8)).bytes, label: label)
    }

    static func job(
        _ kind: JobKind, days: Double, _ result: JobRecord.Result = .success, seconds: Int64 = 600,
        facts: [String: String] = [:]
    ) -> JobRecord {
        let finished = daysAgo(days)
        return JobRecord(
            kind: kind, cluster: "main", started: Moment(microseconds: finished.microseconds - seconds * 1_000_000),
            finished: finished, result: result, exitStatus: result == .success ? 0 : 1,
            message: result == .failure ? "it did not work" : nil, facts: facts, user: "postgres", host: "db1",
            tidemarkVersion: "0.1.0")
    }

    static func healthy() throws -> Observation {
        var observation = Observation(cluster: "main", now: now)
        observation.server = ServerObservation(
            version: 150_020, isStandby: false, clockOffset: 0.001,
            findings: [
                ServerFinding(
                    name: "wal_level", current: "replica", wanted: nil, verdict: .good, reason: "It must.",
                    needsRestart: false)
            ], archivedCount: 100, failedCount: 2, isFailing: false, lastFailed: nil, position: LSN(0x5000028))
        observation.leftTargets = []
        observation.waiting = WaitingObservation(ready: 0, oldestReady: 0, oldestCommit: 12)
        let backups = try [28.0, 21, 14, 7, 1].map { try backup("b\(Int($0))", days: $0) }
        observation.archive = ArchiveObservation(
            incarnation: incarnation,
            backups: BackupListing(complete: backups, incomplete: [], unreadable: []), segmentSize: 16 << 20,
            timeline: TimelineID(1), newest: SegmentName("000000010000000000000005"), gaps: [],
            newestCommit: daysAgo(0.001), windowStart: daysAgo(28))
        observation.serverTimeline = TimelineID(1)
        observation.jobs = [job(.verify, days: 6), job(.drill, days: 10), job(.backup, days: 1)]
        observation.space = SpaceObservation(free: 400 << 30, total: 1000 << 30, shrinking: Double(1 << 30))
        observation.ownCluster = ("15-7", true)
        observation.undelivered = (0, 0)
        return observation
    }

    static func configuration(_ lines: [String] = []) throws -> CheckConfiguration {
        let text = "repository = '/r'\n[cluster main]\ndata_directory = '/d'\n[check]\n" + lines.joined(separator: "\n")
        let configuration = try Configuration(parsing: text, file: "t.conf")
        return configuration.checks(for: configuration.clusters[0])
    }
}
