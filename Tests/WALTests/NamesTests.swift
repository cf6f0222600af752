import Testing
import WAL

@Suite struct NamesTests {
    @Test(
        arguments: [
            ("0/0", 0), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", UInt64.max), ("0/1430F10", 0x1430F10),
        ] as [(String, UInt64)])
    func `positions are read and written as PostgreSQL does`(text: String, value: UInt64) {
        #expect(LSN(text) == LSN(value))
        #expect(LSN(LSN(value).description) == LSN(value))
    }

    @Test(arguments: ["", "/", "0", "0/", "/0", "0/123456789", "0/+1", "0x1/2", "1/2/3", " 0/1", "g/0"])
    func `text that isn't a position is refused`(text: String) {
        #expect(LSN(text) == nil)
    }

    /// Segment sizes change how many segments there are in 4 GiB (`XLogSegmentsPerXLogId`).
    @Test(
        arguments: [
            (1 << 20, "0000000100000000000000FF", 0xFF0_0000, "000000010000000000000100"),
            (16 << 20, "0000000100000000000000FF", 0xFF00_0000, "000000010000000100000000"),
            (64 << 20, "00000001000000000000003F", 0xFC00_0000, "000000010000000100000000"),
            (1 << 30, "000000010000000000000003", 0xC000_0000, "000000010000000100000000"),
        ] as [(UInt32, String, UInt64, String)])
    func `segment names follow the segment size`(size: UInt32, name: String, start: UInt64, next: String) throws {
        let segment = try #require(SegmentName(name))
        #expect(segment.start(segmentSize: size) == LSN(start))
        #expect(segment.next(segmentSize: size).description == next)
        #expect(segment.next(segmentSize: size).previous(segmentSize: size) == segment)
        #expect(
            SegmentName(timeline: TimelineID(1), containing: LSN(start + UInt64(size) - 1), segmentSize: size)
                == segment)
        #expect(segment.isPossible(segmentSize: size))
    }

    @Test(arguments: [
        ("00000001000000A200000003", ArchiveFileName.segment(.init(timeline: TimelineID(1), log: 0xA2, place: 3))),
        ("00000001000000A200000003.partial", .partial(.init(timeline: TimelineID(1), log: 0xA2, place: 3))),
        ("0000000B.history", .history(TimelineID(11))),
        (
            "00000001000000A200000003.00000028.backup",
            .backupHistory(.init(timeline: TimelineID(1), log: 0xA2, place: 3), offset: 0x28)
        ),
    ])
    func `the kinds of archive file names are recognised`(text: String, name: ArchiveFileName) {
        #expect(ArchiveFileName(text) == name)
        #expect(name.description == text)
    }

    @Test(arguments: [
        "", "00000001000000A20000000", "00000001000000a200000003", "00000000000000A200000003", "00000001.histor",
        "00000001000000A200000003.part", "00000001000000A200000003.28.backup", "0000000G.history",
        "00000001000000A200000003.0000002G.backup", "../000000010000000000000001", "00000001000000A200000003.gz",
    ])
    func `other names are refused`(text: String) {
        #expect(ArchiveFileName(text) == nil)
    }
}
