import Testing
import WAL

@Suite struct TimelineHistoryTests {
    private let three =
        "1\t0/1430F10\tno recovery target specified\n\n# a comment\n2\t0/5000000\tbefore LSN 0/5000000\n"

    private func history() throws -> TimelineHistory { try TimelineHistory(timeline: TimelineID(3), file: three) }

    @Test func `ancestors are read with switch point and reason`() throws {
        let history = try history()
        #expect(history.ancestors.map(\.timeline) == [TimelineID(1), TimelineID(2)])
        #expect(history.ancestors.map(\.switchPoint) == [LSN(0x1430F10), LSN(0x5000000)])
        #expect(history.ancestors[1].reason == "before LSN 0/5000000")
        #expect(history.parent == TimelineID(2))
    }

    @Test func `each position belongs to one timeline`() throws {
        let history = try history()
        #expect(history.timeline(at: LSN(0x1430F0F)) == TimelineID(1))
        #expect(history.timeline(at: LSN(0x1430F10)) == TimelineID(2))
        #expect(history.timeline(at: LSN(0x5000000)) == TimelineID(3))
        #expect(history.contains(TimelineID(1), at: LSN(0x1000000)))
        #expect(!history.contains(TimelineID(1), at: LSN(0x1430F11)))
        #expect(!history.contains(TimelineID(2), at: LSN(0x1000000)))
        #expect(history.contains(TimelineID(3), at: LSN(0x9000000)))
        #expect(!history.contains(TimelineID(4), at: LSN(0x9000000)))
        #expect(history.begin(of: TimelineID(2)) == LSN(0x1430F10))
    }

    /// The segment with a switch point exists on both timelines; the newer one has the bytes of both.
    @Test func `segments are named after the newest timeline in them`() throws {
        let history = try history()
        let size: UInt32 = 1 << 24
        #expect(
            history.segment(containing: LSN(0x0430F10), segmentSize: size).description == "000000010000000000000000")
        #expect(
            history.segment(containing: LSN(0x1000000), segmentSize: size).description == "000000020000000000000001")
        #expect(
            history.segment(containing: LSN(0x4FFFFFF), segmentSize: size).description == "000000020000000000000004")
        #expect(
            history.segment(containing: LSN(0x5000000), segmentSize: size).description == "000000030000000000000005")
    }

    @Test(arguments: [
        ("x\t0/1\treason", 1, "\"x\" is not a timeline's number."),
        ("1", 1, "The timeline's number must be followed by the position where it ended."),
        ("1\tnowhere", 1, "The timeline's number must be followed by the position where it ended."),
        ("2\t0/1\n1\t0/2", 2, "Timelines must appear in increasing order."),
        ("3\t0/1", 1, "A timeline's ancestors must have smaller numbers than it has."),
    ])
    func `a damaged history is refused`(text: String, line: Int, reason: String) throws {
        let error = #expect(throws: BadTimelineHistory.self) {
            try TimelineHistory(timeline: TimelineID(3), file: text)
        }
        #expect(error?.line == line)
        #expect(error?.detail == reason)
    }

    @Test func `timelines that begin after a recovery's end don't count in its history`() throws {
        let history = try TimelineHistory(timeline: TimelineID(5), file: "1\t0/50\n2\t0/70\n3\t0/20\tbefore 740\n")
        #expect(history.ancestors == [.init(timeline: TimelineID(1), switchPoint: LSN(0x20), reason: "before 740")])
        let second = try TimelineHistory(timeline: TimelineID(5), file: "1\t0/50\n2\t0/70\n3\t0/60\n")
        #expect(second.ancestors.map(\.timeline) == [TimelineID(1), TimelineID(2)])
        #expect(second.ancestors.map(\.switchPoint) == [LSN(0x50), LSN(0x60)])
    }

    @Test(arguments: FixtureChain.main)
    func `histories written by servers are read`(_ chain: FixtureChain) throws {
        let history = try TimelineHistory(timeline: TimelineID(2), file: chain.text("00000002.history"))
        #expect(history.ancestors.count == 1)
        // The first record of the new timeline is at the switch point.
        let change = try #require(try chain.expected().timelineSwitches.first)
        #expect(history.ancestors[0].switchPoint.description == change.lsn)
    }
}
