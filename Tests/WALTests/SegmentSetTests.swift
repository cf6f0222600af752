import Testing
import WAL

@Suite struct SegmentSetTests {
    /// Compares the runs with a plain set, adding and removing segments in any order.
    @Test func `runs hold the same segments as a plain set`() {
        var random = Pseudorandom(seed: 5)
        var set = SegmentSet(segmentSize: 1 << 24)
        var model: Set<SegmentName> = []
        for _ in 0..<3000 {
            let name = SegmentName(
                timeline: TimelineID(UInt32(random.next() % 2 + 1)), number: random.next() % 120, segmentSize: 1 << 24)
            if random.next() % 3 == 0 {
                set.remove(name)
                model.remove(name)
            } else {
                set.insert(name)
                model.insert(name)
            }
        }
        #expect(set.count == model.count)
        for timeline in [TimelineID(1), TimelineID(2)] {
            for number in 0..<121 as Range<UInt64> {
                let name = SegmentName(timeline: timeline, number: number, segmentSize: 1 << 24)
                #expect(set.contains(name) == model.contains(name))
            }
            let runs = set.runs(of: timeline)
            for (run, next) in zip(runs, runs.dropFirst()) { #expect(run.upperBound + 1 < next.lowerBound) }
        }
    }

    @Test func `consecutive segments are one run`() {
        var set = SegmentSet(segmentSize: 1 << 24)
        set.insert(10...20, on: TimelineID(1))
        set.insert(22...30, on: TimelineID(1))
        #expect(set.run(containing: 21, on: TimelineID(1)) == nil)
        set.insert(21...21, on: TimelineID(1))
        #expect(set.runs(of: TimelineID(1)) == [10...30])
        set.insert(5...40, on: TimelineID(1))
        #expect(set.runs(of: TimelineID(1)) == [5...40])
        #expect(set.highest(on: TimelineID(1)) == 40)
        #expect(set.timelines == [TimelineID(1)])
    }
}
