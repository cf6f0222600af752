import CChecksum
public import WAL

/// The bytes of a segment of PostgreSQL 15 in which WAL was switched at once: it holds one record, XLOG_SWITCH, which
/// continues such a segment before it (src/include/access/xlog_internal.h, xlogrecord.h).
public func switchedSegment(_ name: SegmentName, size: UInt32, systemIdentifier: UInt64) -> [UInt8] {
    let start = name.start(segmentSize: size)
    var bytes: [UInt8] = []
    func put<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }
    // XLogLongPageHeaderData: magic, XLP_LONG_HEADER, timeline, address, nothing left of an earlier record.
    put(UInt16(0xD110))
    put(UInt16(0x0002))
    put(name.timeline.rawValue)
    put(start.rawValue)
    put(UInt64(0))
    put(systemIdentifier)
    put(size)
    put(UInt32(8192))
    // XLogRecord: length, no transaction, the record before, XLOG_SWITCH of the resource manager XLOG.
    let record = bytes.count
    put(UInt32(24))
    put(UInt32(0))
    put(start.rawValue - UInt64(size) + UInt64(record))
    put(UInt32(0x40))
    put(UInt32(0))
    let crc = bytes[record...].withUnsafeBytes { tidemark_crc32c_record($0.baseAddress, $0.count) }
    withUnsafeBytes(of: crc.littleEndian) { bytes.replaceSubrange(record + 20..<record + 24, with: $0) }
    return bytes + [UInt8](repeating: 0, count: Int(size) - bytes.count)
}
