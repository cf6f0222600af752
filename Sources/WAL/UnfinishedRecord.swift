/// A record assembled from several pages or segments.
struct UnfinishedRecord {
    let lsn: LSN
    /// Bytes of the whole record, and how many of them are here.
    let total: Int
    private(set) var have = 0
    /// CRC-32C state over the bytes after the header.
    private(set) var crc: UInt32 = 0xFFFF_FFFF
    /// Whether its header couldn't be checked where it began.
    let headerIsSplit: Bool

    /// A logical message may have a gigabyte, and its contents aren't needed.
    private static let messagePrefix = 4096

    init(lsn: LSN, total: Int, headerIsSplit: Bool) {
        self.lsn = lsn
        self.total = total
        self.headerIsSplit = headerIsSplit
    }

    var isComplete: Bool { have == total }
    var missing: UInt32 { UInt32(total - have) }

    /// Adds the bytes of `piece`, the next ones of the record, to those in `buffer`: all of them, or the first 4 KiB of
    /// a logical message. (The buffer is the reader's, so that one serves all records.)
    mutating func add(_ page: RawSpan, _ piece: Range<Int>, to buffer: inout [UInt8]) {
        let body = min(piece.lowerBound + max(0, 24 - have), piece.upperBound)
        crc = page.crc(crc, body..<piece.upperBound)
        have += piece.count
        let isMessage = buffer.count >= 24 && buffer[17] == ResourceManager.logicalMessage.rawValue
        if !isMessage || buffer.count < UnfinishedRecord.messagePrefix {
            page.extracting(piece).withUnsafeBytes { buffer.append(contentsOf: $0) }
        }
    }

    /// The part that a segment's summary keeps.
    func tail(_ buffer: [UInt8]) -> TailFragment {
        TailFragment(
            lsn: lsn, total: UInt32(total), length: UInt32(have), header: Array(buffer.prefix(24)), crc: crc,
            bytes: have <= HeadFragment.storedBytes && buffer.count == have ? Array(buffer) : nil)
    }
}
