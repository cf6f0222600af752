import Platform
import Repository
import WAL

/// A whole segment of a series: small records to its end, as many as pgbench writes, every sixth a commit, their times
/// spread over the segment's second.
struct MadeSegment {
    let series: Series
    let index: Int
    private var bytes: [UInt8]
    private var previous: UInt64
    private var written = 0

    private static let pageSize = 8192
    private static let commit = 34
    private static let other = 66
    private static let table: [UInt32] = (0..<256).map { value in
        (0..<8).reduce(UInt32(value)) { crc, _ in crc & 1 != 0 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }

    /// The segment as the repository keeps it.
    static func stored(_ series: Series, _ index: Int, scratch: String) throws -> [UInt8] {
        let bytes = MadeSegment(series, index).bytes
        let store = DirectoryStore(scratch)
        try Files.makeDirectories(scratch)
        defer { try? Files.removeTree(scratch) }
        try store.create(
            series.incarnation.marker,
            SealedDocument(
                .incarnation,
                body: Array("{\n  \"system_identifier\" : \"\(series.incarnation.systemIdentifier)\"\n}".utf8)))
        let key = series.incarnation.segment(series.name(index))
        try store.createSegment(
            key, length: UInt64(bytes.count), presses: [SegmentPress(level: 1)],
            read: { buffer, offset in
                bytes.withUnsafeBytes { all in
                    let rest = UnsafeRawBufferPointer(rebasing: all[Int(offset)...].prefix(buffer.count))
                    buffer.copyMemory(from: rest)
                    return rest.count
                }
            }, inspect: { _ in },
            head: {
                SegmentHead(rawLength: UInt64(bytes.count), digest: $0, summary: series.summary(index).encode())
            })
        return try Files.read(store.path(key), limit: 1 << 30)
    }

    private init(_ series: Series, _ index: Int) {
        (self.series, self.index) = (series, index)
        bytes = [UInt8](repeating: 0, count: Int(series.template.segmentSize))
        previous = series.start(index).rawValue - 100
        for page in stride(from: 0, to: bytes.count, by: MadeSegment.pageSize) { fill(page) }
    }

    private mutating func put(_ value: UInt64, _ width: Int, at offset: Int) {
        for place in 0..<width { bytes[offset + place] = UInt8(truncatingIfNeeded: value >> UInt64(8 * place)) }
    }

    private mutating func fill(_ page: Int) {
        put(UInt64(series.template.version.magic), 2, at: page)
        put(1, 4, at: page + 4)
        put(series.start(index).rawValue + UInt64(page), 8, at: page + 8)
        var at = page + 24
        if page == 0 {
            put(2, 2, at: 2)
            put(series.template.systemIdentifier, 8, at: 24)
            put(UInt64(bytes.count), 4, at: 32)
            put(UInt64(MadeSegment.pageSize), 4, at: 36)
            at = 40
        }
        let end = page + MadeSegment.pageSize
        while at < end {
            written += 1
            let isCommit = written % 6 == 0
            var total = isCommit ? MadeSegment.commit : MadeSegment.other
            // A page's last record fills it, so that none goes on on the next page.
            let room = end - at
            let isLast = room - (total + 7) / 8 * 8 < 32
            if isLast { total = room }
            record(at, total: total, isCommit: isCommit && !isLast)
            at += (total + 7) / 8 * 8
        }
    }

    private mutating func record(_ at: Int, total: Int, isCommit: Bool) {
        put(UInt64(total), 4, at: at)
        put(UInt64(1000 + written), 4, at: at + 4)
        put(previous, 8, at: at + 8)
        bytes[at + 16] = isCommit ? 0 : 0x20
        bytes[at + 17] = isCommit ? 1 : 0
        bytes[at + 24] = 255
        bytes[at + 25] = UInt8(total - 26)
        if isCommit {
            // Microseconds since 2000.
            let share = Int64(at) * 990_000 / Int64(bytes.count)
            put(UInt64(series.time(index).microseconds + share - 946_684_800_000_000), 8, at: at + 26)
        }
        var crc: UInt32 = 0xFFFF_FFFF
        for place in [at + 24..<at + total, at..<at + 20].joined() {
            crc = MadeSegment.table[Int((crc ^ UInt32(bytes[place])) & 0xFF)] ^ crc >> 8
        }
        put(UInt64(~crc), 4, at: at + 20)
        previous = series.start(index).rawValue + UInt64(at)
    }
}
