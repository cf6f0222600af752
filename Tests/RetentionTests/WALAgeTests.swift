import Retention
import Testing
import WAL

/// Where WAL begins that is younger than `keep_wal`, according to the commits in the segments.
struct WALAgeTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// By timeline, from which segment on, one letter each: `o` its last commit is old, `y` young; `-` none; `?`
        /// unreadable. `O`, `_` and `!` are the same, archived before the moment as well; `Y` is young and was archived
        /// before it.
        let segments: [UInt32: (from: UInt64, String)]
        /// The parent, and the segment in whose middle it was left.
        var parents: [UInt32: [(timeline: UInt32, at: UInt64)]] = [:]
        /// The first segment to keep; nil when unknown.
        let first: UInt64?
    }

    static let rows = [
        Row(testDescription: "nothing", segments: [:], first: nil),
        Row(testDescription: "all old: the last one's end may be young", segments: [1: (10, "oooo")], first: 13),
        Row(testDescription: "all young", segments: [1: (10, "yyyy")], first: 10),
        Row(testDescription: "old, then young", segments: [1: (10, "oooyy")], first: 12),
        Row(testDescription: "none with a commit", segments: [1: (10, "----")], first: 10),
        Row(testDescription: "none with a commit after the old ones", segments: [1: (10, "oo---")], first: 11),
        Row(testDescription: "none with a commit between old ones", segments: [1: (10, "o--oyy")], first: 13),
        Row(testDescription: "none with a commit between old and young", segments: [1: (10, "oo--yy")], first: 11),
        Row(testDescription: "one that can't be read is taken for young", segments: [1: (10, "oo?ooy")], first: 11),
        Row(testDescription: "the first can't be read", segments: [1: (10, "?ooy")], first: 10),
        Row(
            testDescription: "a clock that was behind in between: what is before it in the log is no older",
            segments: [1: (10, "oyoyy")], first: 10),
        Row(
            testDescription: "a recovery into the past: one is old to its end, the other is young",
            segments: [1: (10, String(repeating: "o", count: 31)), 2: (20, "oyyy")], parents: [2: [(1, 20)]],
            first: 20),
        Row(
            testDescription: "a recovery into the past, all commits of whose timeline are young",
            segments: [1: (10, String(repeating: "o", count: 31)), 2: (20, "yyyy")], parents: [2: [(1, 20)]],
            first: 20),
        Row(
            testDescription: "the left timeline ended with segments without a commit",
            segments: [1: (10, "ooo-----"), 2: (17, "yyy")], parents: [2: [(1, 17)]], first: 12),
        Row(
            testDescription: "the left timeline ended with segments without a commit, and old ones followed",
            segments: [1: (10, "ooo-----"), 2: (17, "oooyy")], parents: [2: [(1, 17)]], first: 19),
        Row(
            testDescription: "somebody goes on with the timeline that was left",
            segments: [1: (10, "ooooooyy"), 2: (13, "oooooyy")], parents: [2: [(1, 13)]], first: 15),
        Row(
            testDescription: "somebody went on without a commit with the timeline that was left",
            segments: [1: (10, "oooo----"), 2: (13, "oooooyy")], parents: [2: [(1, 13)]], first: 13),
        Row(
            testDescription: "three in a row",
            segments: [1: (10, "ooo"), 2: (12, "ooo"), 3: (14, "ooyy")],
            parents: [2: [(1, 12)], 3: [(1, 12), (2, 14)]], first: 15),
        Row(
            testDescription: "three in a row, the middle one without a commit",
            segments: [1: (10, "ooo"), 2: (12, "---"), 3: (14, "yyy")],
            parents: [2: [(1, 12)], 3: [(1, 12), (2, 14)]], first: 12),
        Row(
            testDescription: "two that left the same one",
            segments: [1: (10, "oooo"), 2: (12, "oooo"), 3: (13, "yyy")], parents: [2: [(1, 12)], 3: [(1, 13)]],
            first: 13),
        Row(testDescription: "none with a commit, all archived long ago", segments: [1: (10, "____")], first: 13),
        Row(testDescription: "none with a commit, the last archived lately", segments: [1: (10, "___-")], first: 12),
        Row(testDescription: "archived long ago after the last commit", segments: [1: (10, "OO____")], first: 15),
        Row(testDescription: "archived long ago and unreadable", segments: [1: (10, "O!O!yy")], first: 13),
        Row(testDescription: "clocks that contradict each other", segments: [1: (10, "OYOy")], first: 10),
        Row(
            testDescription: "a stray branch that ended without a commit, long ago",
            segments: [1: (10, "OO"), 2: (12, "________"), 3: (12, "OOOOOOOOOOOOOOOOOOOOyy")],
            parents: [2: [(1, 12)], 3: [(1, 12)]], first: 31),
        Row(
            testDescription: "a stray branch that ended with a commit, long ago",
            segments: [1: (10, "OO"), 2: (12, "OOOOOOOO"), 3: (12, "OOOOOOOOOOOOOOOOOOOOyy")],
            parents: [2: [(1, 12)], 3: [(1, 12)]], first: 31),
        Row(
            testDescription: "a stray branch whose last segment came lately, without a commit",
            segments: [1: (10, "OO"), 2: (12, "_______-"), 3: (12, "OOOOOOOOOOOOOOOOOOOOyy")],
            parents: [2: [(1, 12)], 3: [(1, 12)]], first: 18),
        Row(
            testDescription: "a stray branch that can't be read, archived long ago",
            segments: [1: (10, "OO"), 2: (12, "!!!"), 3: (12, "OOOOOOOOOOyy")], parents: [2: [(1, 12)], 3: [(1, 12)]],
            first: 21),
        Row(
            testDescription: "a stray branch that can't be read, archived nobody knows when",
            segments: [1: (10, "OO"), 2: (12, "???"), 3: (12, "OOOOOOOOOOyy")], parents: [2: [(1, 12)], 3: [(1, 12)]],
            first: 11),
        Row(
            testDescription: "the newest branch is the one without a commit",
            segments: [1: (10, "OOOO"), 2: (12, "____")], parents: [2: [(1, 12)]], first: 15),
        Row(
            testDescription: "nothing came on any branch for long",
            segments: [1: (10, "OO"), 2: (12, "OOO"), 3: (12, "____")], parents: [2: [(1, 12)], 3: [(1, 12)]],
            first: 15),
        Row(
            testDescription: "of a timeline that left another nothing is archived", segments: [1: (10, "ooo")],
            parents: [2: [(1, 12)]], first: 12),
    ]

    @Test(arguments: rows) func `WAL that isn't known to be old stays`(_ row: Row) {
        let size: UInt32 = 16 << 20
        var ages: [SegmentName: SegmentAge] = [:]
        var archived: [SegmentName: Moment] = [:]
        for (timeline, (from, letters)) in row.segments {
            for (index, letter) in letters.enumerated() {
                let start = LSN((from + UInt64(index)) * UInt64(size))
                let name = SegmentName(timeline: TimelineID(timeline), containing: start, segmentSize: size)
                if "OY_!".contains(letter) { archived[name] = Moment(microseconds: 1) }
                ages[name] =
                    switch letter {
                    case "o", "O": .commit(Moment(microseconds: 1))
                    case "y", "Y": .commit(Moment(microseconds: 3))
                    case "-", "_": .noCommit
                    default: .unreadable
                    }
            }
        }
        let histories = row.parents.map { timeline, parents in
            TimelineHistory(
                timeline: TimelineID(timeline),
                ancestors: parents.map {
                    .init(timeline: TimelineID($0.timeline), switchPoint: LSN($0.at * UInt64(size) + 4096))
                })
        }
        var asked: [SegmentName: Int] = [:]
        let first = firstWAL(
            since: Moment(microseconds: 2), ages.keys.shuffled(), histories: histories, segmentSize: size,
            age: { name in
                asked[name, default: 0] += 1
                return ages[name]!
            }, archived: { archived[$0] })
        #expect(first == row.first.map { LSN($0 * UInt64(size)) })
        #expect(asked.values.allSatisfy { $0 == 1 }, "each is read once")
    }
}
