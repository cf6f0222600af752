/// The continuation, at a segment's start, of a record that began in an earlier segment.
///
/// The record isn't known here, so the CRC of its bytes is kept for each way its header may have been cut: see
/// `Continuity`.
public struct HeadFragment: Hashable, Sendable {
    /// Bytes of the record still missing at the start of this segment, according to its first page.
    public var missing: UInt32
    /// Bytes of it that are here.
    public var length: UInt32
    /// The record was abandoned: a later page of this segment says that what follows replaces its remains.
    public var isAbandoned: Bool
    /// CRC-32C states, seed 0, over the bytes from offset 0, 8 and 16.
    public var crc: [UInt32]
    /// The first sixteen bytes, or fewer if the fragment is shorter.
    public var start: [UInt8]
    /// All bytes, unless they are more than 64 KiB.
    public var bytes: [UInt8]?

    public static let storedBytes = 65_536
}

/// The beginning, at a segment's end, of a record that continues in the next segment.
public struct TailFragment: Hashable, Sendable {
    public var lsn: LSN
    /// Bytes of the whole record.
    public var total: UInt32
    /// Bytes of it that are here.
    public var length: UInt32
    /// The first 24 bytes: the record's header, fewer if it was cut.
    public var header: [UInt8]
    /// CRC-32C state, seed FFFFFFFF, over the bytes after the first 24.
    public var crc: UInt32
    /// All bytes, unless they are more than 64 KiB.
    public var bytes: [UInt8]?
}

extension HeadFragment {
    /// From the first page's announcement, before any of it has been read.
    init(missing: UInt32) {
        self.init(missing: missing, length: 0, isAbandoned: false, crc: [0, 0, 0], start: [], bytes: [])
    }

    /// Adds the bytes of `piece`, the next ones of the record.
    mutating func add(_ page: RawSpan, _ piece: Range<Int>) {
        let had = Int(length)
        for (index, skip) in [0, 8, 16].enumerated() {
            let from = min(piece.lowerBound + max(0, skip - had), piece.upperBound)
            crc[index] = page.crc(crc[index], from..<piece.upperBound)
        }
        var at = piece.lowerBound
        while start.count < 16, at < piece.upperBound {
            start.append(page.u8(at))
            at += 1
        }
        length += UInt32(piece.count)
        if length <= HeadFragment.storedBytes {
            page.extracting(piece).withUnsafeBytes { bytes?.append(contentsOf: $0) }
        } else {
            bytes = nil
        }
    }
}
