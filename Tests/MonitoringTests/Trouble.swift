import Archiving
import Backups
import Jobs
import Monitoring
import Setup
import Testing
import WAL

/// A fault, the check that must notice it, and the expected message.
struct Trouble: Sendable, CustomTestStringConvertible {
    let name: String
    let check: String
    let status: CheckResult.Status
    let says: String
    var lines: [String] = []
    let spoil: @Sendable (inout Observation) throws -> Void
    var testDescription: String { name }

    static let all = ofServer + ofBackups

    private static let ofServer = [
        Trouble(name: "server down", check: "server", status: .critical, says: "no answer") {
            $0.server = nil
            $0.serverProblem = "no answer"
        },
        Trouble(
            name: "server's settings unknown", check: "server_settings", status: .unknown, says: "could not be queried"
        ) {
            $0.server = nil
        },
        Trouble(
            name: "a required setting", check: "server_settings", status: .critical, says: "archive_mode is \"off\""
        ) {
            $0.server?.findings.append(finding("archive_mode", "off", .required))
        },
        Trouble(
            name: "an advised setting", check: "server_settings", status: .warning, says: "archive_timeout is \"0\""
        ) {
            $0.server?.findings.append(finding("archive_timeout", "0", .advised))
        },
        Trouble(
            name: "a time that promotes", check: "recovery_settings", status: .warning,
            says: "promotes itself at the first commit after 2026-11-01"
        ) {
            $0.leftTargets = [
                LeftTarget("recovery_target_action", "promote", file: "/d/postgresql.auto.conf"),
                LeftTarget("recovery_target_time", "2026-11-01", file: "/d/postgresql.auto.conf"),
            ]
        },
        Trouble(
            name: "a time that pauses", check: "recovery_settings", status: .warning,
            says: "stops replaying at the first"
        ) {
            $0.leftTargets = [LeftTarget("recovery_target_time", "2026-11-01", file: "/d/postgresql.conf")]
        },
        Trouble(name: "a position", check: "recovery_settings", status: .warning, says: "doesn't start") {
            $0.leftTargets = [LeftTarget("recovery_target_lsn", "0/1", file: "/d/postgresql.conf")]
        },
        Trouble(name: "a restore point", check: "recovery_settings", status: .warning, says: "dies when it is promoted")
        {
            $0.leftTargets = [LeftTarget("recovery_target_name", "x", file: nil)]
        },
        Trouble(
            name: "a timeline", check: "recovery_settings", status: .warning,
            says: "doesn't follow when another is promoted"
        ) {
            $0.leftTargets = [LeftTarget("recovery_target_timeline", "current", file: "/d/postgresql.conf")]
        },
        Trouble(
            name: "configuration unreadable", check: "recovery_settings", status: .unknown, says: "could not be read"
        ) {
            $0.leftTargets = nil
        },
        Trouble(name: "archiver slow", check: "archiving", status: .warning, says: "oldest of 3 finished segments") {
            $0.waiting = WaitingObservation(ready: 3, oldestReady: 700, oldestCommit: 700)
        },
        Trouble(
            name: "a standby for which nobody archives", check: "archiving", status: .warning,
            says: "archives nothing until it is promoted (archive_mode = on), and nobody else has archived the last 3"
        ) {
            $0.followSilently(3, age: 5)
        },
        Trouble(
            name: "a standby for which nobody has archived for long", check: "archiving", status: .critical,
            says: "the last segment that it has replayed"
        ) {
            $0.followSilently(1, age: 7000)
        },
        Trouble(name: "archiver stuck", check: "archiving", status: .critical, says: "Archiving is stuck at") {
            $0.waiting = WaitingObservation(ready: 3, oldestReady: 7000, oldestCommit: 7000)
            $0.server?.isFailing = true
            $0.server?.lastFailed = "000000010000000000000006"
        },
        Trouble(name: "archiver failing for half a minute", check: "archiving", status: .warning, says: "is stuck") {
            $0.waiting = WaitingObservation(ready: 1, oldestReady: 31, oldestCommit: 31)
            $0.server?.isFailing = true
            $0.server?.lastFailed = "000000010000000000000006"
        },
        Trouble(
            name: "a segment refused", check: "archiving", status: .critical,
            says: "tidemark says: \"000000010000000000000006\" already exists"
        ) {
            $0.waiting = WaitingObservation(ready: 1, oldestReady: 2, oldestCommit: 2)
            $0.server?.isFailing = true
            $0.server?.lastFailed = "000000010000000000000006"
            $0.pushFailure = PushFailure(
                file: "000000010000000000000006", isRefusal: true,
                message: "\"000000010000000000000006\" already exists", detail: nil, hint: "Put it aside.")
        },
        Trouble(
            name: "a damaged segment", check: "archiving", status: .critical,
            says: "000000010000000000000006\" is damaged"
        ) {
            $0.waiting = WaitingObservation(ready: 1, oldestReady: 2, oldestCommit: 2)
            $0.server?.isFailing = true
            $0.server?.lastFailed = "000000010000000000000006"
            $0.pushFailure = PushFailure(
                file: "000000010000000000000006", isRefusal: true,
                message: "WAL segment \"000000010000000000000006\" is damaged", detail: nil, hint: nil)
        },
        Trouble(
            name: "an archiver that does nothing", check: "archiving", status: .warning,
            says: "nothing has been archived for 50.0 s; the oldest of 1 has been waiting for 1 min 10 s"
        ) {
            $0.waiting = WaitingObservation(ready: 1, oldestReady: 70, oldestCommit: 70)
            $0.server?.archiverQuiet = 50
        },
        Trouble(
            name: "an archiver that has done nothing for hours", check: "archiving", status: .critical,
            says: "nothing has been archived for"
        ) {
            $0.waiting = WaitingObservation(ready: 1, oldestReady: 7000, oldestCommit: 70)
            $0.server?.archiverQuiet = 7000
        },
        Trouble(name: "backlog", check: "archive_backlog", status: .critical, says: "300 finished segments wait") {
            $0.waiting = WaitingObservation(ready: 300, oldestReady: 1, oldestCommit: 1)
        },
        Trouble(
            name: "a missing segment", check: "wal_continuity", status: .critical,
            says: "000000010000000000000003\" is missing."
        ) {
            let name = SegmentName("000000010000000000000003")!
            $0.archive?.gaps = [.init(first: name, last: name, count: 1)]
        },
        Trouble(name: "a missing history", check: "wal_continuity", status: .critical, says: "00000002.history") {
            $0.archive?.historyProblem = "timeline history file \"00000002.history\" is missing"
        },
        Trouble(
            name: "a missing history and a missing segment", check: "wal_continuity", status: .critical,
            says: "00000002.history\" is missing. Segment \"000000010000000000000003\" is missing."
        ) {
            let name = SegmentName("000000010000000000000003")!
            $0.archive?.historyProblem = "timeline history file \"00000002.history\" is missing"
            $0.archive?.gaps = [.init(first: name, last: name, count: 1)]
        },
        Trouble(
            name: "another timeline's history is damaged", check: "wal_continuity", status: .critical,
            says: "00000003.history\" is damaged"
        ) { $0.archive?.damagedHistory = LostHistory(timeline: TimelineID(3), parent: nil, isDamaged: true) },
        Trouble(
            name: "a timeline that the server isn't on", check: "timelines", status: .critical,
            says: "Timeline 2 is in the archive, but the server is on timeline 1; it left timeline 1 at LSN 0/03000028"
        ) {
            $0.strays = [StrayTimeline(timeline: TimelineID(2), parent: TimelineID(1), left: LSN(0x300_0028))]
        },
        Trouble(
            name: "the server's timeline put aside", check: "timelines", status: .critical, says: "which was put aside"
        ) {
            $0.serverTimeline = TimelineID(2)
            $0.isPutAside = true
        },
        Trouble(name: "the server's timeline unknown", check: "timelines", status: .unknown, says: "data directory") {
            $0.serverTimeline = nil
        },
        Trouble(name: "nothing archived", check: "wal_continuity", status: .warning, says: "No WAL") {
            $0.archive?.newest = nil
        },
        Trouble(name: "repository gone", check: "wal_continuity", status: .critical, says: "does not exist") {
            $0.archive = nil
            $0.archiveProblem = "repository \"/r\" does not exist"
        },
        Trouble(name: "old commit unarchived", check: "rpo", status: .critical, says: "2 h 46 min old") {
            $0.waiting?.oldestCommit = 10_000
        },
        Trouble(
            name: "a tighter target", check: "rpo", status: .warning, says: "12.0 s old", lines: ["rpo_warning = 10s"]
        ) { _ in },
        Trouble(name: "unreadable pg_wal", check: "rpo", status: .unknown, says: "could not be read") {
            $0.waiting?.oldestCommit = nil
        },
        Trouble(
            name: "drill slower than promised", check: "rto", status: .critical, says: "about 10 min 0 s",
            lines: ["rto_critical = 5min"]
        ) { _ in },
        Trouble(
            name: "a grown cluster recovers slower", check: "rto", status: .warning, says: "about 20 min 0 s",
            lines: ["rto_warning = 15min"]
        ) {
            $0.jobs = [ObservedCluster.job(.drill, days: 3, facts: ["size": "\(5 << 30)", "seconds": "600"])]
        },
        Trouble(
            name: "no drill to tell", check: "rto", status: .warning, says: "No drill", lines: ["rto_critical = 5min"]
        ) {
            $0.jobs = []
        },
        Trouble(
            name: "window shorter than promised", check: "recovery_window", status: .warning, says: "can be reached",
            lines: ["recovery_window_warning = 30d"]
        ) { _ in },
        Trouble(name: "no backup", check: "recovery_window", status: .critical, says: "no usable backup") {
            $0.archive?.windowStart = nil
            $0.archive?.backups.complete = []
        },
        Trouble(
            name: "no backup on the history", check: "recovery_window", status: .critical,
            says: "Nothing can be recovered on timeline 1"
        ) { $0.archive?.windowStart = nil },
        Trouble(
            name: "a gap after the newest backup", check: "recovery_window", status: .critical,
            says: "but not to now: segment \"000000010000000000000004\" is missing."
        ) { $0.archive?.stop(at: "000000010000000000000004", days: 0.5) },
        Trouble(
            name: "what is behind a gap is lost", check: "rpo", status: .critical,
            says: "Nothing after 2026-11-20 00:00:00+00 can be recovered: segment \"000000010000000000000004\""
        ) { $0.archive?.stop(at: "000000010000000000000004", days: 0.5) },
        Trouble(
            name: "a gap that the server can fill", check: "wal_continuity", status: .critical,
            says: "Segment \"000000010000000000000004\" is missing."
        ) { $0.archive?.stop(at: "000000010000000000000004", days: 0.5) },
        Trouble(
            name: "another server answers", check: "server", status: .critical, says: "is not the one in data_directory"
        ) {
            $0.foreignServer = "system identifier 7; the data directory's is 8"
        },
        Trouble(name: "nothing can be recovered", check: "rpo", status: .critical, says: "Everything would be lost.") {
            $0.archive?.windowStart = nil
        },
        Trouble(
            name: "another cluster is archived", check: "rpo", status: .critical, says: "has no place for the cluster"
        ) {
            $0.ownCluster = ("15-7", false)
        },
    ]

    private static func finding(_ name: String, _ current: String, _ verdict: ServerFinding.Verdict) -> ServerFinding {
        ServerFinding(
            name: name, current: current, wanted: "on", verdict: verdict, reason: "It must.", needsRestart: false)
    }
}

extension ArchiveObservation {
    /// A gap after every backup.
    mutating func stop(at name: String, days: Double) {
        guard let name = SegmentName(name) else { return }
        gaps = [Gap(first: name, last: name, count: 1)]
        (unreached, reachEnd) = (gaps[0], ObservedCluster.daysAgo(days))
    }
}

extension Observation {
    /// A standby with `archive_mode = on`, and so many finished segments that aren't in the repository.
    mutating func followSilently(_ segments: UInt64, age: Double, mode: String = "on") {
        server?.isStandby = true
        server?.findings.removeAll { $0.name == "archive_mode" }
        server?.findings.append(
            ServerFinding(
                name: "archive_mode", current: mode, wanted: nil, verdict: .good, reason: "", needsRestart: false))
        waiting = WaitingObservation(ready: 0, oldestReady: 0, oldestCommit: age)
        waiting?.unarchived = segments
    }
}
