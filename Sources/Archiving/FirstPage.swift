import Glibc
import Platform
import Repository
public import WAL

/// The long header at the start of every segment (`XLogLongPageHeaderData`, src/include/access/xlog_internal.h). Its
/// layout has been the same in all versions, so it can be read where the rest cannot.
struct FirstPage {
    let magic: UInt16
    let timeline: TimelineID
    let address: LSN
    let systemIdentifier: UInt64
    let segmentSize: UInt32
    let blockSize: UInt32

    static let length = 40
    /// Of every page: its length, and the offset of its address (`XLogPageHeaderData`).
    static let pageSize = 8192
    static let addressOffset = 8

    /// Nil when the bytes can't be a long page header of any version.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= FirstPage.length else { return nil }
        func field<Value: FixedWidthInteger>(_: Value.Type, _ offset: Int) -> Value {
            Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
        }
        magic = field(UInt16.self, 0)
        // Since 9.3 every magic number has been D0xx or D1xx.
        guard magic & 0xF000 == 0xD000, field(UInt16.self, 2) & 2 != 0 else { return nil }
        timeline = TimelineID(field(UInt32.self, 4))
        address = LSN(field(UInt64.self, 8))
        systemIdentifier = field(UInt64.self, 24)
        segmentSize = field(UInt32.self, 32)
        blockSize = field(UInt32.self, 36)
    }

    /// Nil also for a file that is shorter.
    init?(of file: LocalFile) throws {
        let page = try withUnsafeTemporaryAllocation(byteCount: FirstPage.length, alignment: 8) { buffer in
            let count = try file.read(into: buffer, at: 0)
            return FirstPage(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        guard let page else { return nil }
        self = page
    }

    /// The incarnation that the file belongs to; nil for a version that this program doesn't know.
    func incarnation(of cluster: String) -> Incarnation? {
        WALVersion(magic: magic).map {
            Incarnation(cluster: cluster, major: $0.major, systemIdentifier: systemIdentifier)
        }
    }

    /// Checks that this is the first page of the segment `name` in a file of `length` bytes.
    func check(is name: SegmentName, length: UInt64) throws(WALDamage) {
        func damage(_ reason: WALDamage.Reason, _ offset: UInt64) -> WALDamage {
            WALDamage(reason, offset: offset, lsn: nil, segment: name)
        }
        guard SegmentName.exists(segmentSize: segmentSize) else {
            throw damage(.segmentSize(segmentSize), 32)
        }
        guard length == UInt64(segmentSize) else {
            throw damage(.length(found: length, expected: UInt64(segmentSize)), 0)
        }
        let start = name.start(segmentSize: segmentSize)
        guard address == start, name.isPossible(segmentSize: segmentSize) else {
            throw damage(.pageAddress(found: address, expected: start), 8)
        }
        guard timeline.rawValue > 0, timeline <= name.timeline else {
            throw damage(.pageTimeline(found: timeline, allowed: 1...name.timeline.rawValue), 4)
        }
    }
}

extension SegmentName {
    /// Whether a file begins as this segment does, or is damaged there; one made in advance holds zeros, or what it
    /// held under an earlier name.
    public func isWritten(at path: String) throws -> Bool {
        let file = try Descriptor(open: path, O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: FirstPage.pageSize)
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, path: path) }
        let page = bytes.withUnsafeBytes { FirstPage(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        guard let page else { return bytes.contains { $0 != 0 } }
        return !SegmentName.exists(segmentSize: page.segmentSize)
            || page.address == start(segmentSize: page.segmentSize)
    }
}
