internal import CChecksum
import Glibc

/// The bytes of an XLOG NOOP record that replaces another one: of the same length, transaction and previous record, so
/// that nothing around it changes.
public struct NoOperation {
    /// Record header and the start of the main data's header; zeros follow.
    private let start: [UInt8]

    /// - Parameter body: `bodyState` of the record's length.
    public init(_ original: RecordHeader, body: UInt32) {
        var header: [UInt8] = []
        func add(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { header.append(contentsOf: $0) }
        }
        add(original.length)
        // Redo advances the next XID past that of every record.
        add(original.xid)
        add(original.previous.rawValue)
        add(XLogInfo.noOperation)
        add(ResourceManager.xlog.rawValue)
        add(UInt16(0))
        add(~tidemark_crc32c(body, header, 20))
        start = header + NoOperation.bodyHead(original.length)
    }

    /// The checksum's state after the body of a record of this length, on which alone the body depends.
    public static func bodyState(_ length: UInt32) -> UInt32 {
        let head = bodyHead(length)
        let zeros = [UInt8](repeating: 0, count: max(0, Int(length) - 24 - head.count))
        let state = tidemark_crc32c(0xFFFF_FFFF, head, head.count)
        return tidemark_crc32c(state, zeros, zeros.count)
    }

    /// `XLR_BLOCK_ID_DATA_SHORT` or `…_LONG` and the length of the main data; empty for a record that is only a header.
    static func bodyHead(_ length: UInt32) -> [UInt8] {
        if length < 26 { return [] }
        if length - 26 <= 255 { return [BlockID.dataShort, UInt8(length - 26)] }
        let data = length - 29
        return [
            BlockID.dataLong, UInt8(data & 0xFF), UInt8(data >> 8 & 0xFF), UInt8(data >> 16 & 0xFF), UInt8(data >> 24),
        ]
    }

    /// Writes the bytes of this range of the record to `place`.
    public func write(_ range: Range<Int>, to place: UnsafeMutableRawBufferPointer) {
        for at in range where at < start.count { place[at - range.lowerBound] = start[at] }
        let zeros = max(0, start.count - range.lowerBound)
        if zeros < place.count { memset(place.baseAddress! + zeros, 0, place.count - zeros) }
    }
}
