import BaseBackup
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
            name: "a damaged one is no substitute", backups: [backup(2), backup(3) { $0.isDamaged = true }],
            policy: { $0.keepFull = 1 }, kept: ["2-2": ["newest good backup", "one of the newest 1 full backups"]]),
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
                "4-2": ["newest good backup", "one of the newest 1 full backups"],
            ]),
        Row(
            name: "what a kept one refers to", backups: [backup(1), backup(2), backup(3) { $0.needs = ["1-2"] }],
            policy: { $0.keepFull = 1 },
            kept: [
                "1-2": ["needed by 3-2"], "3-2": ["newest good backup", "one of the newest 1 full backups"],
            ]),
        Row(
            name: "in use", backups: [backup(1) { $0.isLeased = true }, backup(2)], policy: { $0.keepFull = 1 },
            kept: [
                "1-2": ["in use by a restore or verification"],
                "2-2": ["newest good backup", "one of the newest 1 full backups"],
            ]),
        Row(
            name: "a window of five days", backups: [backup(1), backup(4), backup(8)],
            policy: { $0.recoveryWindow = 5 * 86_400_000 },
            kept: [
                "4-2": ["the recovery window begins with it"], "8-2": ["newest good backup", "in the recovery window"],
            ]),
    ]

    @Test(arguments: rows) func `each rule keeps what it says and tells why`(_ row: Row) throws {
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

    @Test func `a clock that went back stops everything`() throws {
        #expect(throws: ClockWentBack.self) {
            try decideRetention(
                [Self.backup(5)], timelines: [], policy: RetentionPolicy(), now: Self.moment(4))
        }
    }

    @Test func `without rules all WAL stays, that before the first backup as well`() throws {
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
}
