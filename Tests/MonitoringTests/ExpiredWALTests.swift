import Jobs
import Monitoring
import Testing
import WAL

/// Which missing segments are missing on purpose.
@Suite struct ExpiredWALTests {
    private func name(_ number: UInt64, timeline: UInt32 = 1) -> SegmentName {
        SegmentName(timeline: TimelineID(timeline), number: number, segmentSize: 16 << 20)
    }

    private func job(_ kind: JobKind, at seconds: Int64, _ note: String) -> JobRecord {
        JobRecord(
            kind: kind, cluster: "main", started: Moment(microseconds: seconds * 1_000_000),
            finished: Moment(microseconds: seconds * 1_000_000), result: .success,
            facts: [ExpiredWAL.fact: note], user: "postgres", host: "db1", tidemarkVersion: "0.1.0")
    }

    @Test func `a range is removed when the expiries together removed each of its segments`() {
        let log = ExpiredWAL([
            // 0xFF is the last of its 4 GiB.
            job(.expire, at: 3, ExpiredWAL.note([name(0xFD)...name(0x101), name(0x110)...name(0x110)])),
            job(.expire, at: 1, ExpiredWAL.note([name(0xF0)...name(0xFC)])),
            job(.expire, at: 2, ExpiredWAL.note([name(0xF4)...name(0xFF)])),
            job(.expire, at: 9, ExpiredWAL.note([name(0x102, timeline: 2)...name(0x10F, timeline: 2)])),
            job(.backup, at: 9, ExpiredWAL.note([name(0x102)...name(0x10F)])),
            job(.expire, at: 9, "garbage 000000010000000100000005- -"),
        ])
        func removal(_ first: UInt64, _ last: UInt64) -> Int64? {
            log.removal(of: name(first), to: name(last), segmentSize: 16 << 20).map { $0.microseconds / 1_000_000 }
        }
        #expect(removal(0xF1, 0xF3) == 1)
        #expect(removal(0xF0, 0xFE) == 2)
        #expect(removal(0xF0, 0x101) == 3)
        #expect(removal(0x110, 0x110) == 3)
        #expect(removal(0xEF, 0xF1) == nil)
        #expect(removal(0xFD, 0x102) == nil)
        #expect(removal(0x101, 0x110) == nil)
        #expect(removal(0x105, 0x105) == nil)
    }
}
