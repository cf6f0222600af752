import Planning
import Testing
import WAL

@testable import Recovery

/// A recovery ended as planned only if it ended at that position of that history.
@Suite struct ReplayEndTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        /// The timeline that the plan follows: 1, or 2, which leaves it at `fork`.
        let planned: UInt32
        /// What the server replayed: the timelines, each with where it was left; the rest is the last one's.
        let replayed: [(UInt32, LSN)]
        let last: UInt32
        /// In records behind the plan's end.
        var behind = 0
        /// How much of it the server has noted, in records before its end.
        var unknown = 0
        let isEnd: Bool
        var isBeyond = false
        var testDescription: String { name }
    }
    static let fork = LSN(0x100_0028 + 5 * 4096)

    @Test(arguments: [
        Row(name: "the plan's timeline", planned: 1, replayed: [], last: 1, isEnd: true),
        Row(name: "another timeline", planned: 1, replayed: [(1, fork)], last: 2, isEnd: false),
        Row(name: "the parent, past the fork", planned: 2, replayed: [], last: 1, isEnd: false),
        Row(name: "the child", planned: 2, replayed: [(1, fork)], last: 2, isEnd: true),
        Row(name: "another child", planned: 2, replayed: [(1, fork)], last: 3, isEnd: false),
        Row(
            name: "the server's new timeline", planned: 2, replayed: [(1, fork), (2, fork + 6 * 4096)], last: 4,
            isEnd: true),
        Row(name: "further", planned: 1, replayed: [], last: 1, behind: 3, isEnd: false, isBeyond: true),
        Row(name: "further on another timeline", planned: 1, replayed: [(1, fork)], last: 2, behind: 3, isEnd: false),
        Row(name: "further on the parent", planned: 2, replayed: [], last: 1, behind: 3, isEnd: false),
        Row(
            name: "as far as the server notes, the parent", planned: 2, replayed: [], last: 1, unknown: 6, isEnd: true),
        Row(
            name: "as far as the server notes, another child", planned: 2, replayed: [(1, fork)], last: 3, unknown: 1,
            isEnd: false),
    ])
    func `a position counts on its own timeline`(_ row: Row) throws {
        var archive = ConstructedArchive()
        var log = WALWriter()
        archive.allBackups.append(log.backup("a", second(0)))
        for n in 1...8 as ClosedRange<UInt32> {
            if n == 3 {
                #expect(log.position == Self.fork)
                archive.branch(2, from: 1, log) { new in
                    for n in 201...206 as ClosedRange<UInt32> { new.commit(n, second(Double(n))) }
                }
            }
            log.commit(100 + n, second(Double(100 + n)))
        }
        archive.records[TimelineID(1)] = log.written
        let plan = try plan(
            PlanRequest(RecoveryTarget(.latest, timeline: .number(TimelineID(row.planned)))), from: archive)
        #expect(plan.end == Self.fork + 6 * 4096)
        let position = plan.end + UInt64(row.behind * 4096)
        let end = ReplayEnd(
            position: position, known: LSN(position.rawValue - UInt64(row.unknown * 4096)),
            history: TimelineHistory(
                timeline: TimelineID(row.last),
                ancestors: row.replayed.map { TimelineHistory.Ancestor(timeline: TimelineID($0.0), switchPoint: $0.1) })
        )
        #expect(end.isEnd(of: plan) == row.isEnd)
        #expect(end.isBeyond(plan) == row.isBeyond)
    }
}
