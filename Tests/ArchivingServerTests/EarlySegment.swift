import Platform
import Support
import Testing
import WAL

/// The bytes of a segment on a server that left the timeline before the segment was full.
struct EarlySegment {
    /// What lies after the last record.
    enum Rest: String, CaseIterable {
        case zeros, olderPages
    }
    /// Where the records end.
    enum End: String, CaseIterable {
        /// Right after a record, in the middle of a page.
        case afterRecord
        /// At a page's end, in the middle of a record that began on it: a walreceiver stopped here.
        case insideRecord
        /// Nothing of the segment was ever written.
        case nothing
    }

    let bytes: [UInt8]
    /// Bytes of the segment that are WAL; records end there or before.
    let written: Int

    init(_ whole: [UInt8], _ name: SegmentName, older: [UInt8], end: End, rest: Rest) throws {
        let records = try EarlySegment.records(whole, name)
        let size = whole.count
        switch end {
        case .afterRecord: written = try #require(records.first { $0.end > size / 2 && $0.end % 8192 > 4000 }).end
        case .insideRecord:
            written =
                try #require(records.first { $0.start > size / 2 && $0.start / 8192 < ($0.end - 1) / 8192 }).start
                / 8192 * 8192 + 8192
        case .nothing: written = 0
        }
        let filler = rest == .zeros ? [UInt8](repeating: 0, count: size) : older
        bytes = Array(whole[..<written] + filler[written...])
    }

    /// Where the segment's own records start and end: offsets in bytes.
    static func records(_ bytes: [UInt8], _ name: SegmentName) throws -> [(start: Int, end: Int)] {
        let first = name.start(segmentSize: UInt32(bytes.count))
        var found: [(start: Int, end: Int)] = []
        var walk = RecordWalk()
        walk.begin(name, length: UInt64(bytes.count), contents: .partial)
        try walk.feed(bytes.span.bytes) { record in
            if record.lsn >= first { found.append((Int(record.lsn - first), Int(record.end - first))) }
            return .more
        }
        return found
    }

    /// The same WAL with another XID in one record, and a correct checksum, as another server would write it.
    static func contradicting(_ bytes: [UInt8], _ name: SegmentName, at offset: Int) throws -> [UInt8] {
        let record = try #require(
            records(bytes, name).first {
                $0.start >= offset && $0.start / 8192 == ($0.end - 1) / 8192
            })
        var changed = bytes
        changed[record.start + 4] ^= 0x40
        seal(&changed, at: record.start)
        return changed
    }

    /// Corrects the checksum of the record at `start`.
    static func seal(_ bytes: inout [UInt8], at start: Int) {
        let length = bytes[start..<start + 4].enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        let sum = crc32c(bytes[start + 24..<start + length] + bytes[start..<start + 20])
        for index in 0..<4 { bytes[start + 20 + index] = UInt8(truncatingIfNeeded: sum >> (8 * index)) }
    }

    private static func crc32c(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { crc, byte in
            (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0x82F6_3B78 : 0) }
        }
    }
}

/// A directory like a server's pg_wal, with the files a test puts there.
struct ServerWAL {
    let archive: Archive
    var directory: String { archive.scratch.file("server/pg_wal") }

    init(_ archive: Archive) throws {
        self.archive = archive
        try Files.makeDirectories(directory + "/archive_status")
        try archive.giveToServer(archive.scratch.file("server"))
    }

    @discardableResult
    func put(_ name: String, _ bytes: [UInt8], isReady: Bool = true) throws -> String {
        let path = directory + "/" + name
        try replaceDurably(path, bytes: bytes, mode: 0o644)
        if isReady { try replaceDurably("\(directory)/archive_status/\(name).ready", bytes: [], mode: 0o644) }
        return path
    }

    /// The history of a timeline 2 that left timeline 1 at a position.
    static func history(leftAt position: LSN) -> [UInt8] {
        Array("1\t\(position)\tno recovery target specified\n".utf8)
    }
}
