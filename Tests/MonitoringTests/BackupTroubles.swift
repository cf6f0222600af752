import Backups
import DataDirectory
import Jobs
import Monitoring
import Testing
import WAL

extension Trouble {
    /// With backups, what verified them, the places where things are, and messages.
    static let ofBackups = [
        Trouble(name: "backup late", check: "backup_age", status: .warning, says: "\"late\", is 9 d 0 h old") {
            $0.archive?.backups.complete = [try ObservedCluster.backup("late", days: 9)]
        },
        Trouble(name: "backup very late", check: "backup_age", status: .critical, says: "is 11 d") {
            $0.archive?.backups.complete = [try ObservedCluster.backup("late", days: 11)]
        },
        Trouble(name: "a backup from the future", check: "backup_age", status: .critical, says: "in the future") {
            $0.archive?.backups.complete.append(try ObservedCluster.backup("early", days: -0.5))
        },
        Trouble(name: "no backup", check: "backup_age", status: .critical, says: "no complete backup") {
            $0.archive?.backups.complete = []
        },
        Trouble(
            name: "backup half as large", check: "backup_size", status: .warning,
            says: "60 % smaller than usual (4096 MB instead of 10 GB)"
        ) {
            $0.archive?.backups.complete.append(try ObservedCluster.backup("small", days: 0.5, size: 4 << 30))
        },
        Trouble(name: "backup twice as large", check: "backup_size", status: .warning, says: "100 % larger") {
            $0.archive?.backups.complete.append(try ObservedCluster.backup("large", days: 0.5, size: 20 << 30))
        },
        Trouble(name: "backup failed", check: "backup_health", status: .critical, says: "it did not work") {
            $0.jobs.append(ObservedCluster.job(.backup, days: 0.1, .failure))
        },
        Trouble(name: "damaged pages", check: "backup_health", status: .critical, says: "app.public.orders") {
            $0.archive?.backups.complete.append(
                try ObservedCluster.backup(
                    "hurt", days: 0.5, corruptPages: #"[{"path":"base/5/1","block":3,"relation":"app.public.orders"}]"#)
            )
        },
        Trouble(name: "verification found damage", check: "verify", status: .critical, says: "found problems") {
            $0.jobs.append(ObservedCluster.job(.verify, days: 0.1, .problems))
        },
        Trouble(
            name: "a gap that verification found", check: "verify_wal", status: .critical,
            says: "ago: segments \"000000010000000000000003\" to \"000000010000000000000004\" are missing."
        ) {
            $0.jobs.append(Self.gapFound())
            $0.knownGaps = [
                KnownGap(
                    first: SegmentName("000000010000000000000003")!, last: SegmentName("000000010000000000000004")!)
            ]
        },
        Trouble(
            name: "a gap that was filled", check: "verify_wal", status: .warning,
            says: "no longer damaged, missing or there"
        ) {
            $0.jobs.append(Self.gapFound())
        },
        Trouble(
            name: "a gap that was filled, and what only a verification can tell", check: "verify_wal",
            status: .critical,
            says: "The last verification found problems 2 h 24 min ago."
        ) {
            $0.jobs.append(Self.gapFound(others: "1"))
        },
        Trouble(name: "verification long ago", check: "verify", status: .warning, says: "verified 20 d") {
            $0.jobs = [ObservedCluster.job(.verify, days: 20)]
        },
        Trouble(name: "never verified", check: "verify", status: .warning, says: "never verified") { $0.jobs = [] },
        Trouble(
            name: "verified by a clock in the future", check: "verify", status: .unknown, says: "dated in the future"
        ) {
            $0.jobs = [ObservedCluster.job(.verify, days: -365)]
        },
        Trouble(
            name: "verified long ago, and by a clock in the future", check: "verify", status: .warning, says: "20 d 0 h"
        ) {
            $0.jobs = [ObservedCluster.job(.verify, days: 20), ObservedCluster.job(.verify, days: -365)]
        },
        Trouble(
            name: "a drill that failed after one in the future", check: "drill", status: .critical,
            says: "The last drill failed"
        ) {
            $0.jobs.append(ObservedCluster.job(.drill, days: 0.1, .failure))
            $0.jobs.append(ObservedCluster.job(.drill, days: -365))
        },
        Trouble(name: "WAL never read", check: "verify_wal", status: .warning, says: "never verified") { $0.jobs = [] },
        Trouble(name: "WAL read long ago", check: "verify_wal", status: .warning, says: "verified 20 d") {
            $0.jobs = [ObservedCluster.job(.verify, days: 20)]
        },
        Trouble(name: "drill failed", check: "drill", status: .critical, says: "failed") {
            $0.jobs.append(ObservedCluster.job(.drill, days: 0.1, .failure))
        },
        Trouble(name: "disk nearly full", check: "repository_space", status: .warning, says: "(7 %)") {
            $0.space = SpaceObservation(free: 70 << 30, total: 1000 << 30, shrinking: nil)
        },
        Trouble(name: "disk full soon", check: "repository_growth", status: .critical, says: "full in 2 d 0 h") {
            $0.space = SpaceObservation(free: 100 << 30, total: 500 << 30, shrinking: Double(50 << 30))
        },
        Trouble(name: "clock wrong", check: "clock", status: .critical, says: "differ by 1 min 30 s") {
            $0.server?.clockOffset = -90
        },
        Trouble(name: "commits from the future", check: "clock", status: .critical, says: "in the future") {
            $0.archive?.newestCommit = ObservedCluster.daysAgo(-1)
        },
        Trouble(name: "open repository", check: "permissions", status: .warning, says: "Everybody may read") {
            $0.permissions = [PermissionFinding(false, "Everybody may read it.", remedy: "chmod 0750 /r")]
        },
        Trouble(name: "nested places", check: "places", status: .critical, says: "repository \"/d/r\" lies in") {
            do {
                try ClusterPlaces(
                    repository: "/d/r", stateDirectory: "/s", scratchDirectory: "/s/scratch", dataDirectory: "/d"
                ).check()
            } catch { $0.nested = error as? NestedPlaces }
        },
        Trouble(name: "places that can't be looked up", check: "places", status: .unknown, says: "Permission denied") {
            $0.placesProblem = "The locations of the directories could not be determined: Permission denied."
        },
        Trouble(name: "open secret", check: "permissions", status: .critical, says: "(and 1 more)") {
            $0.permissions = [
                PermissionFinding(false, "a", remedy: "b"),
                PermissionFinding(true, "Everybody may read the key.", remedy: "c"),
            ]
        },
        Trouble(name: "another cluster", check: "version", status: .critical, says: "no place for the cluster") {
            $0.ownCluster = ("16-8", false)
        },
        Trouble(name: "too old a server", check: "version", status: .critical, says: "PostgreSQL 12 is not supported") {
            $0.server?.version = 120_022
        },
        Trouble(name: "too new a server", check: "version", status: .warning, says: "newer than this") {
            $0.server?.version = 190_001
        },
        Trouble(name: "messages that can't be counted", check: "notifications", status: .unknown, says: "I/O error") {
            ($0.undelivered, $0.undeliveredProblem) = (nil, "Which messages wait could not be found out: I/O error.")
        },
        Trouble(
            name: "messages given up", check: "notifications", status: .warning,
            says: "2 messages were given up within the last week: \"ops/webhook\""
        ) {
            $0.givenUp = ["ops/webhook", "ops/webhook"]
        },
        Trouble(name: "messages stuck", check: "notifications", status: .warning, says: "2 messages wait") {
            $0.undelivered = (2, 3600)
        },
    ]

    private static func gapFound(others: String = "0") -> JobRecord {
        ObservedCluster.job(
            .verify, days: 0.1, .problems,
            facts: [
                "backups": "1", "segments": "5", "backup_problems": "0", "wal_problems": "1", "problems": "1",
                "wal_others": others, "missing": "000000010000000000000003-000000010000000000000004",
            ])
    }
}
