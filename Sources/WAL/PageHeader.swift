internal import CChecksum

/// Layout of a WAL page's header (`XLogPageHeaderData`, `XLogLongPageHeaderData`; the same in PostgreSQL 12–18).
enum PageHeader {
    static let pageSize = 8192
    /// Every page's header.
    static let short = 24
    /// The header of a segment's first page.
    static let long = 40

    /// The page's first bytes continue a record.
    static let continues: UInt16 = 0x01
    static let isLong: UInt16 = 0x02
    /// No base backup was running; irrelevant for reading the page.
    static let backupBlocksRemovable: UInt16 = 0x04
    /// The record expected here was abandoned after a crash; another one is in its place.
    static let afterAbandoned: UInt16 = 0x08
    static let knownFlags: UInt16 = 0x0F

    static let magicOffset = 0
    static let flagsOffset = 2
    static let timelineOffset = 4
    static let addressOffset = 8
    static let missingOffset = 16
    static let paddingOffset = 20
    static let systemIdentifierOffset = 24
    static let segmentSizeOffset = 32
    static let blockSizeOffset = 36
}

/// Little-endian numbers at a byte offset, bounds-checked.
extension RawSpan {
    @inline(__always)
    func u16(_ offset: Int) -> UInt16 {
        UInt16(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    @inline(__always)
    func u32(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    @inline(__always)
    func u64(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    @inline(__always)
    func u8(_ offset: Int) -> UInt8 { unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self) }

    // The same without a check, for the loop over records: the caller has just checked the bounds.
    @inline(__always)
    func present16(_ offset: Int) -> UInt16 {
        UInt16(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
    }
    @inline(__always)
    func present32(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
    }
    @inline(__always)
    func present64(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }
    @inline(__always)
    func present8(_ offset: Int) -> UInt8 {
        unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt8.self)
    }

    /// Whether the bytes of `range` are all zero.
    func isZero(_ range: Range<Int>) -> Bool {
        var at = range.lowerBound
        while at + 8 <= range.upperBound {
            if u64(at) != 0 { return false }
            at += 8
        }
        while at < range.upperBound {
            if u8(at) != 0 { return false }
            at += 1
        }
        return true
    }

    /// Continues a raw CRC-32C over the bytes of `range`.
    @inline(__always)
    func crc(_ state: UInt32, _ range: Range<Int>) -> UInt32 {
        extracting(range).withUnsafeBytes { tidemark_crc32c(state, $0.baseAddress, $0.count) }
    }

    /// The CRC-32C that a whole record's header should hold.
    @inline(__always)
    var recordCRC: UInt32 { withUnsafeBytes { tidemark_crc32c_record($0.baseAddress, $0.count) } }
}
