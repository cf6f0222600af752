import CChecksum
import Support
import WAL

@testable import Repository

/// A server's own segment: pages whose records continue across them.
extension HostileFormat {
    private static let (segmentSize, pageSize, name) = (
        1 << 20, 8192, SegmentName(timeline: TimelineID(1), log: 0, place: 3)
    )
    /// Bytes of the segment that are changed; zeros follow, as where a server has stopped.
    private static let written = 4 * pageSize

    static let serverSegment = HostileFormat(
        "a WAL segment", isText: false,
        seeds: {
            try ["pg15", "pg18"].flatMap { folder in
                try WALFixture.segments(folder).prefix(3).map {
                    Array(try WALFixture.unpacked(folder, $0).prefix(written))
                }
            }
        },
        mend: mendRecords
    ).reading { bytes in
        let whole = bytes.prefix(written) + [UInt8](repeating: 0, count: segmentSize - min(written, bytes.count))
        let segment = Array(whole)
        // Its place is that which its own first page names.
        let address = segment.littleEndian(UInt64.self, at: 8)
        let place = SegmentName(
            timeline: TimelineID(max(1, segment.littleEndian(UInt32.self, at: 4))),
            log: UInt32(truncatingIfNeeded: address >> 32), place: UInt32(truncatingIfNeeded: address) >> 20)
        var walk = RecordWalk(includingBlocks: true)
        walk.begin(place, length: UInt64(segment.count), contents: .partial)
        try? walk.feed(segment.span.bytes) { record in
            _ = SegmentFacts(record)
            return .more
        }
        try? walk.endSegment()
        var scanner = SegmentScanner(name: place, length: UInt64(segment.count), contents: .partial)
        try scanner.feed(segment.span.bytes)
        let summary = try scanner.finish()
        guard try SegmentSummary(decoding: summary.encode()) == summary else { fatalError("a summary has changed") }
        _ = try summary.changedBlocks()
        _ = Continuity.join(summary, summary)
    }

    /// Corrects the checksums of the records that end where their lengths say.
    private static let mendRecords: @Sendable (inout [UInt8]) -> Void = { bytes in
        func skipHeader(_ at: Int) -> Int { at % pageSize == 0 ? at + (at == 0 ? 40 : 24) : at }
        guard bytes.count > pageSize else { return }
        // Behind what the first page continues.
        var at = (skipHeader(0) + Int(min(bytes.littleEndian(UInt32.self, at: 16), 4096)) + 7) & ~7
        while at + 24 < bytes.count {
            at = skipHeader(at)
            guard at + 24 <= bytes.count else { return }
            let length = Int(bytes.littleEndian(UInt32.self, at: at))
            guard (24..<written).contains(length) else { return }
            var places: [Int] = []
            var next = at
            while places.count < length {
                next = skipHeader(next)
                guard next < bytes.count else { return }
                places.append(next)
                next += 1
            }
            let record = places.map { bytes[$0] }
            let sum = record.withUnsafeBytes { tidemark_crc32c_record($0.baseAddress, $0.count) }
            for index in 0..<4 { bytes[places[20 + index]] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(index))) }
            at = (next + 7) & ~7
        }
    }
}
