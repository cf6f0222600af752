import Retention
import Testing
import WAL

@Suite struct RetentionRuleTests {
    static let hour: Int64 = 3_600_000_000
    /// 2 November 2026 was a Monday.
    static func moment(_ day: Int, _ hour: Int = 2) -> Moment {
        Moment(microseconds: 1_793_577_600_000_000 + (Int64(day - 2) * 24 + Int64(hour)) * Self.hour)
    }

    static func backup(_ day: Int, _ hour: Int = 2, change: (inout RetainedBackup) -> Void = { _ in }) -> RetainedBackup
    {
        let position = UInt64(day * 24 + hour) << 24
        var backup = RetainedBackup(
            label: "\(day)-\(hour)", start: LSN(position), stop: LSN(position + 1000), startTime: moment(day, hour),
            stopTime: moment(day, hour))
        change(&backup)
        return backup
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let backups: [RetainedBackup]
        let policy: @Sendable (inout RetentionPolicy) -> Void
        let kept: [String: [String]]
        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(
            name: "no rule", backups: [backup(2), backup(3)], policy: { _ in },
            kept: [
                "2-2": ["no rule says when backups expire"],
                "3-2": ["no rule says when backups expire", "newest good backup"],
            ]),
        Row(name: "no backup", backups: [], policy: { $0.keepFull = 2 }, kept: [:]),
        Row(
            name: "the newest two", backups: [backup(2), backup(3), backup(4)], policy: { $0.keepFull = 2 },
            kept: [
                "3-2": ["one of the newest 2 full backups"],
                "4-2": ["newest good backup", "one of the newest 2 full backups"],
            ]),
        Row(
            name: "first of the day", backups: [backup(2, 2), backup(2, 14), backup(3, 2), backup(3, 14)],
            policy: { $0.keepDaily = 2 },
            kept: ["2-2": ["daily of 2026-11-02"], "3-2": ["daily of 2026-11-03"], "3-14": ["newest good backup"]]),
        Row(
            name: "first of the week", backups: [backup(1), backup(2), backup(8), backup(9)],
            policy: { $0.keepWeekly = 2 },
            kept: ["2-2": ["weekly of 2026-W45"], "9-2": ["newest good backup", "weekly of 2026-W46"]]),
        Row(
            name: "weeks that begin on Sunday", backups: [backup(1), backup(2), backup(8), backup(9)],
            policy: {
                $0.keepWeekly = 2
                $0.weekStarts = .sunday
            },
            kept: [
                "1-2": ["weekly of the week from 2026-11-01"], "8-2": ["weekly of the week from 2026-11-08"],
                "9-2": ["newest good backup"],
            ]),
        Row(
            name: "months that begin on the 5th", backups: [backup(2), backup(4), backup(5), backup(9)],
            policy: {
                $0.keepMonthly = 12
                $0.monthStarts = 5
            },
            kept: ["2-2": ["monthly of 2026-10"], "5-2": ["monthly of 2026-11"], "9-2": ["newest good backup"]]),
        Row(
            name: "a damaged one is no substitute, and stays", backups: [backup(2), backup(3) { $0.damage = "so" }],
            policy: { $0.keepFull = 1 },
            kept: [
                "2-2": ["newest good backup", "newest for keep_full = 1"],
                "3-2": ["newest backup", "newest for keep_full = 1", "damaged: so"],
            ]),
        Row(
            name: "one that stands in for a damaged one stays when it is found damaged itself",
            backups: [
                backup(2), backup(3) { $0.damage = "so" },
                backup(4) {
                    $0.damage = "short"
                    $0.isVisiblyDamaged = true
                },
            ],
            policy: { $0.keepFull = 1 },
            kept: [
                "2-2": ["newest good backup", "newest for keep_full = 1"],
                "3-2": ["newest backup", "newest for keep_full = 1", "damaged: so"],
                "4-2": ["newest backup", "newest for keep_full = 1", "damaged: short"],
            ]),
        Row(
            name: "a damaged one of a tier stays beside the good one",
            backups: [backup(2) { $0.damage = "so" }, backup(3), backup(9)], policy: { $0.keepWeekly = 2 },
            kept: [
                "2-2": ["weekly of 2026-W45", "damaged: so"], "3-2": ["weekly of 2026-W45"],
                "9-2": ["newest good backup", "weekly of 2026-W46"],
            ]),
        Row(
            name: "pins",
            backups: [
                backup(1) { $0.isPinned = true },
                backup(2) {
                    $0.isPinned = true
                    $0.pinnedUntil = moment(3)
                },
                backup(3) {
                    $0.isPinned = true
                    $0.pinnedUntil = moment(30)
                }, backup(4),
            ], policy: { $0.keepFull = 1 },
            kept: [
                "1-2": ["pinned"], "3-2": ["pinned until 2026-11-30 02:00:00+00"],
                "4-2": ["newest good backup", "newest for keep_full = 1"],
            ]),
        Row(
            name: "what a kept one refers to", backups: [backup(1), backup(2), backup(3) { $0.needs = ["1-2"] }],
            policy: { $0.keepFull = 1 },
            kept: [
                "1-2": ["needed by 3-2"], "3-2": ["newest good backup", "newest for keep_full = 1"],
            ]),
        Row(
            name: "in use", backups: [backup(1) { $0.isLeased = true }, backup(2)], policy: { $0.keepFull = 1 },
            kept: [
                "1-2": ["in use by a restore or verification"],
                "2-2": ["newest good backup", "newest for keep_full = 1"],
            ]),
        Row(
            name: "two rules, either of which is enough", backups: [backup(1), backup(2), backup(8), backup(9)],
            policy: { ($0.keepFull, $0.keepWeekly) = (2, 2) },
            kept: [
                "2-2": ["weekly of 2026-W45"], "8-2": ["one of the newest 2 full backups"],
                "9-2": ["newest good backup", "one of the newest 2 full backups", "weekly of 2026-W46"],
            ]),
        Row(
            name: "a window of five days", backups: [backup(1), backup(4), backup(8)],
            policy: { $0.recoveryWindow = 5 * 86_400_000 },
            kept: [
                "4-2": ["the recovery window begins with it"], "8-2": ["newest good backup", "in the recovery window"],
            ]),
    ]

    @Test(arguments: rows) func `each rule keeps what it says and states the reason`(_ row: Row) throws {
        var policy = RetentionPolicy()
        row.policy(&policy)
        let decision = try decideRetention(
            row.backups, timelines: [RetainedTimeline(TimelineHistory(TimelineID(1)))], policy: policy,
            now: Self.moment(10))
        let kept = Dictionary(
            uniqueKeysWithValues: decision.verdicts.filter(\.isKept).map { ($0.label, $0.reasons) })
        #expect(kept == row.kept)
        #expect(decision.verdicts.count == row.backups.count)
    }

    @Test func `keep_wal keeps WAL for its time, even that of removed backups`() throws {
        var policy = RetentionPolicy()
        (policy.keepFull, policy.keepWAL) = (1, 3 * 86_400_000)
        let backups = [Self.backup(2), Self.backup(6), Self.backup(8), Self.backup(9)]
        let one = [RetainedTimeline(TimelineHistory(TimelineID(1)))]
        let decision = try decideRetention(backups, timelines: one, policy: policy, now: Self.moment(10))
        #expect(decision.kept == ["9-2"])
        // Three days ago the backup of the 6th was the newest.
        #expect(decision.keepWALFrom == backups[1].start)
        let size: UInt32 = 1 << 24
        let segment = SegmentName(timeline: TimelineID(1), containing: backups[2].start, segmentSize: size)
        #expect(decision.keeps(segment, segmentSize: size))
        policy.keepWAL = nil
        let without = try decideRetention(backups, timelines: one, policy: policy, now: Self.moment(10))
        #expect(without.keepWALFrom == backups[3].start && !without.keeps(segment, segmentSize: size))
    }

    @Test func `a backup from the future among others counts by its place, and nothing is refused`() throws {
        var policy = RetentionPolicy()
        policy.keepFull = 2
        let backups = [
            Self.backup(2), Self.backup(3) { ($0.startTime, $0.stopTime) = (Self.moment(400), Self.moment(400)) },
            Self.backup(4), Self.backup(5), Self.backup(6),
        ]
        let one = [RetainedTimeline(TimelineHistory(TimelineID(1)))]
        var decision = try decideRetention(backups, timelines: one, policy: policy, now: Self.moment(7))
        #expect(decision.expired == ["2-2", "3-2", "4-2"])
        #expect(decision.verdicts[1].reasons.last?.hasSuffix("is yet to come") == true)
        // No rule about time counts it as old, nor as one of the last days.
        (policy.keepFull, policy.keepDays) = (nil, 4)
        decision = try decideRetention(backups, timelines: one, policy: policy, now: Self.moment(8))
        #expect(decision.expired == ["2-2"])
        (policy.keepDays, policy.keepDaily) = (nil, 3)
        decision = try decideRetention(backups, timelines: one, policy: policy, now: Self.moment(8))
        #expect(decision.expired == ["2-2", "3-2"])
    }

    @Test func `each living branch keeps its newest backup`() throws {
        var policy = RetentionPolicy()
        policy.keepFull = 1
        func on(_ timeline: UInt32, _ day: Int) -> RetainedBackup {
            Self.backup(day) { $0.timeline = TimelineID(timeline) }
        }
        func timelines(firstUntil day: Int) -> [RetainedTimeline] {
            let parted = TimelineHistory.Ancestor(timeline: TimelineID(1), switchPoint: Self.backup(3).stop)
            return [
                RetainedTimeline(TimelineHistory(TimelineID(1)), lastCommit: Self.moment(day)),
                RetainedTimeline(
                    TimelineHistory(timeline: TimelineID(2), ancestors: [parted]), lastCommit: Self.moment(20)),
            ]
        }
        // A copy was promoted on the 3rd and archived; the original continues on timeline 1.
        let alive = try decideRetention(
            [on(1, 2), on(1, 5), on(1, 19), on(2, 4)], timelines: timelines(firstUntil: 20), policy: policy,
            now: Self.moment(20))
        #expect(alive.kept == ["19-2", "4-2"])
        // A recovery on the 5th left timeline 1 at the 3rd.
        let past = try decideRetention(
            [on(1, 2), on(1, 5), on(2, 6), on(2, 10), on(2, 14), on(2, 19)], timelines: timelines(firstUntil: 5),
            policy: policy, now: Self.moment(20))
        #expect(past.kept == ["19-2"])
        // The copy has no backup of its own.
        let young = try decideRetention(
            [on(1, 2), on(1, 5), on(1, 19)], timelines: timelines(firstUntil: 20), policy: policy, now: Self.moment(20))
        #expect(young.kept == ["19-2", "2-2"])
    }

    @Test func `a clock that went back stops everything`() throws {
        #expect(throws: ClockWentBack.self) {
            try decideRetention(
                [Self.backup(5)], timelines: [], policy: RetentionPolicy(), now: Self.moment(4))
        }
    }

    @Test func `without rules all WAL stays, even that before the first backup`() throws {
        let decision = try decideRetention(
            [Self.backup(8)], timelines: [RetainedTimeline(TimelineHistory(TimelineID(1)))], policy: RetentionPolicy(),
            now: Self.moment(10))
        let oldest = SegmentName(timeline: TimelineID(1), containing: LSN(16 << 20), segmentSize: 16 << 20)
        #expect(decision.keeps(oldest, segmentSize: 16 << 20))
    }

    @Test func `an old pinned backup keeps its own WAL and no more`() throws {
        var policy = RetentionPolicy()
        policy.keepFull = 1
        let decision = try decideRetention(
            [Self.backup(1) { $0.isPinned = true }, Self.backup(8)],
            timelines: [RetainedTimeline(TimelineHistory(TimelineID(1)))], policy: policy, now: Self.moment(10))
        let size: UInt32 = 16 << 20
        func keeps(_ position: UInt64) -> Bool {
            decision.keeps(
                SegmentName(timeline: TimelineID(1), containing: LSN(position), segmentSize: size), segmentSize: size)
        }
        let (old, new) = (UInt64(26) << 24, UInt64(8 * 24 + 2) << 24)
        #expect([keeps(old), keeps(old + 16 << 24), keeps(new - 1), keeps(new)] == [true, false, false, true])
    }

    @Test func `rules that count do not care how far ahead the clock is`() throws {
        let backups = [Self.backup(1), Self.backup(2), Self.backup(8), Self.backup(9)]
        let one = [RetainedTimeline(TimelineHistory(TimelineID(1)), lastCommit: Self.moment(9))]
        for (name, count) in [("keep_full", 2), ("keep_weekly", 3)] {
            var policy = RetentionPolicy()
            if name == "keep_full" { policy.keepFull = count } else { policy.keepWeekly = count }
            let now = try decideRetention(backups, timelines: one, policy: policy, now: Self.moment(9))
            let later = try decideRetention(backups, timelines: one, policy: policy, now: Self.moment(4000))
            #expect(now.kept == later.kept && later.kept.count >= 2, "\(name)")
        }
    }

    /// The WAL that is kept.
    struct WALRow: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let backups: [RetainedBackup]
        var timelines = [RetainedTimeline(TimelineHistory(TimelineID(1)), lastCommit: moment(10))]
        let policy: @Sendable (inout RetentionPolicy) -> Void
        /// What the archived segments show.
        var firstWAL: @Sendable (Moment) -> LSN? = { _ in nil }
        /// The first day from whose backup on all WAL stays; nil for all WAL.
        let from: Int?
        /// Earlier days whose backups' own WAL stays.
        var islands: [Int] = []
    }
    static let day: Int64 = 86_400_000

    private static func on(_ timeline: UInt32, _ day: Int) -> RetainedBackup {
        backup(day) { $0.timeline = TimelineID(timeline) }
    }

    /// On the 6th the cluster was recovered to the 3rd, on a new timeline.
    private static func parted(at day: Int) -> [RetainedTimeline] {
        let parted = TimelineHistory.Ancestor(timeline: TimelineID(1), switchPoint: backup(day).stop)
        return [
            RetainedTimeline(TimelineHistory(TimelineID(1)), lastCommit: moment(6)),
            RetainedTimeline(
                TimelineHistory(timeline: TimelineID(2), ancestors: [parted]), lastCommit: moment(10)),
        ]
    }

    static let walRows = [
        WALRow(
            testDescription: "without a rule about time, from the oldest kept backup on",
            backups: (1...9).map { backup($0) }, policy: { $0.keepFull = 3 }, from: 7),
        WALRow(
            testDescription: "a pin alone holds only its own",
            backups: (1...9).map { day in backup(day) { $0.isPinned = day == 2 } }, policy: { $0.keepFull = 3 },
            from: 7,
            islands: [2]),
        WALRow(
            testDescription: "a window, and an older backup that is kept", backups: (1...9).map { backup($0) },
            policy: { ($0.keepFull, $0.recoveryWindow) = (7, 3 * day) }, from: 7, islands: [3, 4, 5, 6]),
        WALRow(
            testDescription: "a window without a backup before it: what there is from the oldest one on",
            backups: (6...9).map { backup($0) }, policy: { $0.recoveryWindow = 20 * day }, from: 6),
        WALRow(
            testDescription: "keep_wal reaches further than the backups",
            backups: (1...9).map { backup($0) }, policy: { ($0.keepFull, $0.keepWAL) = (1, 5 * day) }, from: 5),
        WALRow(
            testDescription: "keep_wal is shorter than the backups: those keep their own",
            backups: (1...9).map { backup($0) }, policy: { ($0.keepFull, $0.keepWAL) = (3, day / 24) }, from: 9,
            islands: [7, 8]),
        WALRow(
            testDescription: "keep_wal, and nobody knows where WAL of that age begins",
            backups: (6...9).map { backup($0) },
            policy: { ($0.keepFull, $0.keepWAL) = (1, 20 * day) }, from: nil),
        WALRow(
            testDescription: "keep_wal, and the segments tell where WAL of that age begins",
            backups: (6...9).map { backup($0) },
            policy: { ($0.keepFull, $0.keepWAL) = (1, 7 * day) }, firstWAL: { _ in backup(3).start }, from: 3),
        WALRow(
            testDescription: "keep_wal, and the clock was behind at the last backup but one",
            backups: (1...9).map { day in
                backup(day) { if day == 8 { ($0.startTime, $0.stopTime) = (moment(-30), moment(-30)) } }
            }, policy: { ($0.keepFull, $0.keepWAL) = (1, 5 * day) }, from: 5),
        WALRow(
            testDescription: "keep_wal, and a recovery into the past: the days without a backup may be the clock's",
            backups: (1...6).map { on(1, $0) }, timelines: parted(at: 3),
            policy: { ($0.keepFull, $0.keepWAL) = (1, 5 * day) }, from: 2),
        WALRow(
            testDescription: "keep_wal, and backups since a recovery into the past",
            backups: (1...6).map { on(1, $0) }
                + [7, 8, 9].map { day in
                    // By its place it lies between the backups of the 3rd and the 4th.
                    on(2, day).moved(to: UInt64(3 * 24 + 2 + (day - 6)))
                }, timelines: parted(at: 3), policy: { ($0.keepFull, $0.keepWAL) = (1, 5 * day) }, from: 3),
    ]

    @Test(arguments: walRows) func `WAL is kept as far back as the rules say`(_ row: WALRow) throws {
        var policy = RetentionPolicy()
        row.policy(&policy)
        let decision = try decideRetention(
            row.backups, timelines: row.timelines, policy: policy, now: Self.moment(10), firstWAL: row.firstWAL)
        #expect(decision.keepWALFrom == row.from.map { Self.backup($0).start })
        #expect(decision.islands.map(\.start) == row.islands.map { Self.backup($0).start })
    }
}

extension RetainedBackup {
    /// The same at another position of the WAL.
    fileprivate func moved(to hours: UInt64) -> RetainedBackup {
        var backup = self
        (backup.start, backup.stop) = (LSN(hours << 24), LSN(hours << 24 + 1000))
        return backup
    }
}
