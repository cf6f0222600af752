import Retention
import Testing
import WAL

/// Retention by a clock that is or was wrong.
@Suite struct WrongClockTests {
    /// What a rule that measures time keeps when the clock is or was wrong.
    struct ClockRow: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// The days by the clock, in the order of the WAL.
        let dates: [Int]
        let now: Int
        /// The days by the clock of those that stay with keep_days = 7.
        let kept: [Int]
    }

    static let clockRows = [
        ClockRow(testDescription: "a right clock", dates: Array(1...20), now: 20, kept: Array(13...20)),
        ClockRow(
            testDescription: "a clock ahead, and no backup since", dates: Array(1...20), now: 400, kept: Array(14...20)),
        ClockRow(
            testDescription: "a clock ahead since before the last backup", dates: Array(1...20) + [400], now: 400,
            kept: Array(14...20) + [400]),
        ClockRow(
            testDescription: "a clock ahead since several backups", dates: Array(1...20) + [400, 401, 402], now: 402,
            kept: Array(16...20) + [400, 401, 402]),
        ClockRow(
            testDescription: "a clock ahead since long: its differences are right",
            dates: Array(1...20) + Array(400...410), now: 410, kept: Array(403...410)),
        ClockRow(
            testDescription: "a clock that was ahead for a while", dates: Array(1...15) + [400, 401] + [18, 19, 20],
            now: 20, kept: [11, 12, 13, 14, 15, 400, 401, 18, 19, 20]),
        ClockRow(
            testDescription: "a clock that was ahead twice", dates: Array(1...13) + [40, 41, 90], now: 90,
            kept: [9, 10, 11, 12, 13, 40, 41, 90]),
        ClockRow(
            testDescription: "a clock that was behind once", dates: Array(1...15) + [-300] + Array(17...20), now: 20,
            kept: Array(13...15) + Array(17...20)),
        ClockRow(
            testDescription: "a day ahead, or a backup that failed", dates: Array(1...20) + [22], now: 22,
            kept: Array(15...20) + [22]),
        ClockRow(testDescription: "a single backup", dates: [1], now: 400, kept: [1]),
        ClockRow(
            testDescription: "a single backup, and another a year later", dates: [1, 400], now: 400, kept: [1, 400]),
        ClockRow(testDescription: "a single backup dated ahead", dates: [400, 5], now: 5, kept: [400, 5]),
        ClockRow(
            testDescription: "no backups for a year", dates: Array(1...20) + [385], now: 385,
            kept: Array(14...20) + [385]),
        ClockRow(
            testDescription: "no backups for a year, and a week with backups since",
            dates: Array(1...20) + Array(385...393), now: 393, kept: Array(386...393)),
        ClockRow(
            testDescription: "a backup on working days", dates: [1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15, 16, 17], now: 17,
            kept: [10, 11, 12, 15, 16, 17]),
        ClockRow(testDescription: "a backup a week", dates: [1, 8, 15, 22], now: 22, kept: [15, 22]),
    ]

    @Test(arguments: clockRows) func `rules that measure time trust no leap of the clock`(_ row: ClockRow) throws {
        var policy = RetentionPolicy()
        policy.keepDays = 7
        let backups = row.dates.enumerated().map { place, date in
            RetentionRuleTests.backup(place + 1) {
                ($0.label, $0.startTime, $0.stopTime) = (
                    "\(date)", RetentionRuleTests.moment(date), RetentionRuleTests.moment(date)
                )
            }
        }
        let one = [RetainedTimeline(TimelineHistory(TimelineID(1)))]
        func decide(_ policy: RetentionPolicy) throws -> RetentionDecision {
            try decideRetention(backups, timelines: one, policy: policy, now: RetentionRuleTests.moment(row.now))
        }
        #expect(try decide(policy).verdicts.filter(\.isKept).map(\.label) == row.kept.map(String.init))
        let leaps = try decide(policy).verdicts.filter { $0.reasons.contains { $0.hasSuffix("does not count") } }
        #expect(leaps.map(\.label) == row.kept.filter { row.now - $0 > 7 }.map(String.init))
        // The window's WAL begins with the same backup, or with the one before it.
        (policy.keepDays, policy.recoveryWindow) = (nil, 7 * RetentionRuleTests.day)
        let window = try decide(policy)
        #expect(window.kept.isSuperset(of: row.kept.filter { $0 > row.now - 7 || row.now > 20 }.map(String.init)))
        #expect(window.keepWALFrom! <= backups.first { $0.label == String(row.kept[0]) }!.start)
    }
}
