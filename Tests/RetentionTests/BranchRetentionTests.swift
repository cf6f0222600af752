import Retention
import Testing
import WAL

/// Retention where a cluster's WAL has several branches: a copy that was promoted, a past that a recovery undid, a
/// branch that was put aside.
@Suite struct BranchRetentionTests {
    /// A backup of a day of November 2026; its position in the WAL is that of the day as well.
    private static func on(
        _ timeline: UInt32, _ day: Int, _ change: (inout RetainedBackup) -> Void = { _ in }
    ) -> RetainedBackup {
        RetentionRuleTests.backup(day) {
            $0.label = "\(timeline)-\(day)"
            $0.timeline = TimelineID(timeline)
            change(&$0)
        }
    }

    private static func aside(
        _ timeline: UInt32, _ day: Int, _ change: (inout RetainedBackup) -> Void = { _ in }
    ) -> RetainedBackup {
        on(timeline, day) {
            ($0.isAside, $0.isVisiblyDamaged, $0.damage) = (true, true, "its branch was put aside")
            change(&$0)
        }
    }

    private static func position(_ day: Int) -> LSN { on(1, day).stop }

    /// - Parameters:
    ///   - left: the timelines it descends from, each with the day at which that was left.
    ///   - commits: the day of its last one.
    ///   - end: the day whose WAL is the last of it in the archive.
    ///   - unknown: its history is missing, and the day is that of its first segment.
    private static func timeline(
        _ number: UInt32, left: [(UInt32, Int)] = [], commits: Int? = nil, end: Int? = nil, unknown: Int? = nil
    ) -> RetainedTimeline {
        var branch = RetainedTimeline(
            TimelineHistory(
                timeline: TimelineID(number),
                ancestors: left.map { .init(timeline: TimelineID($0.0), switchPoint: position($0.1)) }),
            lastCommit: commits.map { RetentionRuleTests.moment($0) }, end: end.map(position))
        branch.unknownBefore = unknown.map(position)
        return branch
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let timelines: [RetainedTimeline]
        let backups: [RetainedBackup]
        var policy: @Sendable (inout RetentionPolicy) -> Void = { $0.keepFull = 1 }
        let now: Int
        let kept: Set<String>
        /// The backup with whose start the WAL begins that stays on every timeline; nil for all WAL.
        let from: String?
        /// Kept ones that keep only their own WAL.
        var islands: [String] = []
    }
    private static let day: Int64 = 86_400_000

    static let rows = [
        // A copy is promoted, and the original goes on.
        Row(
            testDescription: "the original's only backup is from before the copy was promoted",
            timelines: [timeline(1, commits: 5, end: 5), timeline(2, left: [(1, 3)], commits: 5, end: 5)],
            backups: [on(1, 2), on(2, 4)], now: 5, kept: ["1-2", "2-4"], from: "1-2"),
        Row(
            testDescription: "the copy's timeline is the one without a backup of its own",
            timelines: [timeline(1, commits: 5, end: 5), timeline(2, left: [(1, 3)], commits: 5, end: 5)],
            backups: [on(1, 2), on(1, 4)], now: 5, kept: ["1-2", "1-4"], from: "1-2"),
        Row(
            testDescription: "a copy of the copy has the only other backup",
            timelines: [
                timeline(1, commits: 8, end: 8), timeline(2, left: [(1, 3)], commits: 8, end: 8),
                timeline(3, left: [(1, 3), (2, 5)], commits: 8, end: 8),
            ],
            backups: [on(1, 2), on(2, 4), on(3, 7)], now: 8, kept: ["1-2", "2-4", "3-7"], from: "1-2"),
        Row(
            testDescription: "two copies left the original at different places",
            timelines: [
                timeline(1, commits: 8, end: 8), timeline(2, left: [(1, 3)], commits: 8, end: 8),
                timeline(3, left: [(1, 5)], commits: 8, end: 8),
            ],
            backups: [on(1, 2), on(1, 4), on(2, 7), on(3, 7)], now: 8, kept: ["1-4", "2-7", "3-7"], from: "1-4"),
        Row(
            testDescription: "a failover: the timeline ends where it was left",
            timelines: [timeline(1, commits: 3, end: 3), timeline(2, left: [(1, 3)], commits: 5, end: 5)],
            backups: [on(1, 2), on(2, 4)], now: 5, kept: ["2-4"], from: "2-4"),
        Row(
            testDescription: "a failover: nothing is archived of the timeline that was left",
            timelines: [timeline(1), timeline(2, left: [(1, 3)], commits: 5, end: 5)],
            backups: [on(1, 2), on(2, 4)], now: 5, kept: ["2-4"], from: "2-4"),
        Row(
            testDescription: "switchovers there and back: nobody is on what was left",
            timelines: [
                timeline(1, commits: 3, end: 3), timeline(2, left: [(1, 3)], commits: 5, end: 5),
                timeline(3, left: [(1, 3), (2, 5)], commits: 8, end: 8),
            ],
            backups: [on(1, 2), on(2, 4), on(3, 7)], now: 8, kept: ["3-7"], from: "3-7"),
        Row(
            testDescription: "the original has had no commits for more than a week",
            timelines: [timeline(1, commits: 5, end: 5), timeline(2, left: [(1, 3)], commits: 13, end: 13)],
            backups: [on(1, 2), on(2, 4), on(2, 8), on(2, 12)], now: 13, kept: ["2-12"], from: "2-12"),
        Row(
            testDescription: "nobody knows when the original had its last commit",
            timelines: [timeline(1, end: 5), timeline(2, left: [(1, 3)], commits: 13, end: 13)],
            backups: [on(1, 2), on(2, 4), on(2, 8), on(2, 12)], now: 13, kept: ["1-2", "2-12"], from: "1-2"),
        Row(
            testDescription: "the original has had no commits for more than a week, by a clock that is ahead",
            timelines: [timeline(1, commits: 5, end: 5), timeline(2, left: [(1, 3)], commits: 50, end: 6)],
            backups: [on(1, 2), on(2, 4), on(2, 5), on(2, 6) { $0.stopTime = RetentionRuleTests.moment(50) }], now: 50,
            kept: ["1-2", "2-6"], from: "1-2"),
        Row(
            testDescription: "the original's newer backup is damaged",
            timelines: [timeline(1, commits: 5, end: 5), timeline(2, left: [(1, 3)], commits: 5, end: 5)],
            backups: [on(1, 1), on(1, 2) { $0.damage = "so" }, on(2, 4)], now: 5, kept: ["1-1", "1-2", "2-4"],
            from: "1-1"),
        Row(
            testDescription: "nobody knows from where the newest timeline comes",
            timelines: [timeline(1, commits: 8, end: 8), timeline(2, commits: 9, end: 9, unknown: 4)],
            backups: [on(1, 2), on(1, 3), on(1, 7)], now: 9, kept: ["1-2", "1-3", "1-7"], from: "1-2"),
        Row(
            testDescription: "nobody knows from where the newest timeline comes: a window",
            timelines: [timeline(1, commits: 8, end: 8), timeline(2, commits: 9, end: 9, unknown: 4)],
            backups: [on(1, 2), on(1, 5), on(1, 7)], policy: { $0.recoveryWindow = day }, now: 9,
            kept: ["1-2", "1-7"], from: "1-2"),
        Row(
            testDescription: "the history of an archive's first timeline is missing",
            timelines: [timeline(2, commits: 9, end: 9, unknown: 1)],
            backups: [on(2, 2), on(2, 7)], now: 9, kept: ["2-7"], from: "2-7"),
        // Rules that count.
        Row(
            testDescription: "keep_full: a copy's backups take no place from the original's",
            timelines: [timeline(1, commits: 9, end: 9), timeline(2, left: [(1, 3)], commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 6), on(1, 7), on(1, 8), on(2, 4), on(2, 5)], policy: { $0.keepFull = 2 },
            now: 9, kept: ["1-7", "1-8", "2-4", "2-5"], from: "2-4"),
        Row(
            testDescription: "keep_full: what came before the copy was promoted counts for both",
            timelines: [timeline(1, commits: 9, end: 9), timeline(2, left: [(1, 3)], commits: 9, end: 9)],
            backups: [on(1, 1), on(1, 2), on(1, 8), on(2, 4)], policy: { $0.keepFull = 2 },
            now: 9, kept: ["1-2", "1-8", "2-4"], from: "1-2"),
        Row(
            testDescription: "keep_full: what a recovery undid takes no place from what it went back to",
            timelines: [timeline(1, commits: 7, end: 7), timeline(2, left: [(1, 3)], commits: 16, end: 5)],
            backups: [on(1, 1), on(1, 2), on(1, 5), on(1, 6), on(2, 4)], policy: { $0.keepFull = 3 }, now: 16,
            kept: ["1-1", "1-2", "1-5", "1-6", "2-4"], from: "1-1"),
        Row(
            testDescription: "keep_weekly: the first of a week that a recovery undid isn't the week's first after it",
            timelines: [timeline(1, commits: 10, end: 10), timeline(2, left: [(1, 8)], commits: 18, end: 17)],
            backups: [on(1, 3), on(1, 9), on(2, 11), on(2, 12), on(2, 16), on(2, 17)],
            policy: { $0.keepWeekly = 3 }, now: 18, kept: ["1-3", "1-9", "2-11", "2-16", "2-17"], from: "1-3"),
        Row(
            testDescription: "keep_daily: a copy's backup is no substitute for the original's of that day",
            timelines: [timeline(1, commits: 9, end: 9), timeline(2, left: [(1, 3)], commits: 9, end: 9)],
            backups: [on(1, 7), on(1, 8), on(2, 4), on(2, 8) { $0.startTime = RetentionRuleTests.moment(8, 1) }],
            policy: { $0.keepDaily = 1 }, now: 9, kept: ["1-8", "2-8"], from: "1-8"),
        Row(
            testDescription: "keep_monthly: a week after it was undone, a past has no share of its own",
            timelines: [timeline(1, commits: 6, end: 6), timeline(2, left: [(1, 3)], commits: 20, end: 17)],
            backups: [on(1, 2), on(1, 5), on(2, 4), on(2, 8), on(2, 12), on(2, 17)], policy: { $0.keepMonthly = 1 },
            now: 20,
            kept: ["1-2", "2-17"], from: "1-2"),
        // A branch was put aside.
        Row(
            testDescription: "put aside: only its own WAL stays", timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 6), on(1, 8), aside(2, 4)], now: 9, kept: ["1-8", "2-4"], from: "1-8",
            islands: ["2-4"]),
        Row(
            testDescription: "put aside: a part of the cluster's own timeline",
            timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), aside(1, 5), on(1, 6), on(1, 8)], policy: { $0.keepFull = 3 }, now: 9,
            kept: ["1-2", "1-5", "1-6", "1-8"], from: "1-2"),
        Row(
            testDescription: "put aside: a window", timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 6), on(1, 8), aside(2, 4)], policy: { $0.recoveryWindow = 2 * day }, now: 9,
            kept: ["1-6", "1-8", "2-4"], from: "1-6", islands: ["2-4"]),
        Row(
            testDescription: "put aside: keep_wal", timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 6), on(1, 8), aside(2, 4)],
            policy: { ($0.keepFull, $0.keepWAL) = (1, 2 * day) }, now: 9, kept: ["1-8", "2-4"], from: "1-6",
            islands: ["2-4"]),
        Row(
            testDescription: "put aside: its age tells nothing of other WAL at its position",
            timelines: [timeline(1, commits: 10, end: 10)],
            backups: [
                on(1, 2), on(1, 6),
                aside(1, 8) {
                    ($0.startTime, $0.stopTime) = (RetentionRuleTests.moment(4), RetentionRuleTests.moment(4))
                }, on(1, 9),
            ], policy: { ($0.keepFull, $0.keepWAL) = (1, 5 * day) }, now: 10, kept: ["1-9"], from: "1-2"),
        Row(
            testDescription: "put aside: it is being read", timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 6), on(1, 8), aside(2, 4) { $0.isLeased = true }], now: 9,
            kept: ["1-8", "2-4"], from: "2-4"),
        Row(
            testDescription: "put aside: a backup of which it needs packs stays, and holds no more WAL than it",
            timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 6), on(1, 8), aside(2, 4) { $0.needs = ["1-2"] }], now: 9,
            kept: ["1-2", "1-8", "2-4"], from: "1-8", islands: ["1-2", "2-4"]),
        Row(
            testDescription: "put aside: another backup needs packs of it",
            timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 8) { $0.needs = ["2-4"] }, aside(2, 4) { $0.needs = ["1-8"] }], now: 9,
            kept: ["1-8", "2-4"], from: "1-8", islands: ["2-4"]),
        Row(
            testDescription: "put aside: there is no other backup", timelines: [timeline(1, commits: 9, end: 9)],
            backups: [aside(2, 4)], now: 9, kept: ["2-4"], from: nil),
        Row(
            testDescription: "put aside: another server took the timeline's number",
            timelines: [timeline(1, commits: 6, end: 6), timeline(2, left: [(1, 6)], commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 5), aside(2, 4), on(2, 8)], now: 9, kept: ["2-8"], from: "2-8"),
        Row(
            testDescription: "put aside: its date in the future stops nothing",
            timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 8), aside(2, 4) { $0.stopTime = RetentionRuleTests.moment(400) }], now: 9,
            kept: ["1-8", "2-4"], from: "1-8", islands: ["2-4"]),
        Row(
            testDescription: "pinned: a backup of which it needs packs holds no more WAL than it",
            timelines: [timeline(1, commits: 9, end: 9)],
            backups: [on(1, 2), on(1, 3) { ($0.isPinned, $0.needs) = (true, ["1-2"]) }, on(1, 8)], now: 9,
            kept: ["1-2", "1-3", "1-8"], from: "1-8", islands: ["1-2", "1-3"]),
        Row(
            testDescription: "a backup of which one that a rule keeps needs packs holds WAL as before",
            timelines: [timeline(1, commits: 9, end: 9)],
            backups: [
                on(1, 2), on(1, 3) { ($0.isPinned, $0.needs) = (true, ["1-2"]) }, on(1, 8) { $0.needs = ["1-3"] },
            ],
            now: 9, kept: ["1-2", "1-3", "1-8"], from: "1-2"),
    ]

    @Test(arguments: rows) func `every living branch keeps what the rules say`(_ row: Row) throws {
        var policy = RetentionPolicy()
        row.policy(&policy)
        let decision = try decideRetention(
            row.backups, timelines: row.timelines, policy: policy, now: RetentionRuleTests.moment(row.now))
        #expect(decision.kept == row.kept, "\(decision.verdicts)")
        #expect(decision.keepWALFrom == row.from.flatMap { from in row.backups.first { $0.label == from }?.start })
        #expect(decision.islands.map(\.label) == row.islands)
    }

    @Test func `a reason names the timeline of the branch that keeps a backup`() throws {
        var policy = RetentionPolicy()
        (policy.keepFull, policy.keepDaily) = (1, 1)
        let timelines = [
            Self.timeline(1, commits: 9, end: 9), Self.timeline(2, left: [(1, 3)], commits: 9, end: 9),
        ]
        let decision = try decideRetention(
            [Self.on(1, 7), Self.on(1, 8), Self.on(2, 4), Self.on(2, 9)], timelines: timelines, policy: policy,
            now: RetentionRuleTests.moment(9))
        let reasons = Dictionary(uniqueKeysWithValues: decision.verdicts.map { ($0.label, $0.reasons) })
        #expect(
            reasons["1-8"] == [
                "newest good backup of timeline 1", "newest for keep_full = 1 in the history of timeline 1",
                "daily of 2026-11-08 in the history of timeline 1",
            ])
        #expect(
            reasons["2-9"] == [
                "newest good backup of timeline 2", "newest for keep_full = 1", "daily of 2026-11-09",
            ])
    }
}
