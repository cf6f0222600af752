/// The contents that a record has for one block: its image and its data (src/include/access/xlogrecord.h).
struct BlockContents {
    let file: RelationFile
    let fork: UInt8
    let block: UInt32
    /// The image of the block's page, if the record has one that can be decompressed.
    let image: [UInt8]?
    let data: [UInt8]

    /// All block contents and the main data of `record`, whose headers have been checked; empty when it is cut short.
    static func all(in record: RawSpan, version: WALVersion) -> (blocks: [BlockContents], main: [UInt8]) {
        var announced = Announced()
        guard let start = readBlocks(record, total: record.byteCount, version: version, &announced) else {
            return ([], [])
        }
        var at = start - announced.blocks.reduce(0) { $0 + $1.imageLength + $1.dataLength }
        func take(_ count: Int) -> [UInt8] {
            defer { at += count }
            return record.extracting(at..<at + count).withUnsafeBytes { Array($0) }
        }
        let blocks = announced.blocks.map { one in
            let image =
                one.imageLength == 0
                ? nil : PageImage(record, at: one.imageHeader, version: version).page(take(one.imageLength))
            return BlockContents(
                file: one.file, fork: one.fork, block: one.block, image: image, data: take(one.dataLength))
        }
        return (blocks, take(record.byteCount - start))
    }

    /// The blocks of a record that have contents in it, in their order.
    private struct Announced: RecordVisitor {
        var blocks:
            [(file: RelationFile, fork: UInt8, block: UInt32, dataLength: Int, imageLength: Int, imageHeader: Int)] = []

        mutating func block(
            id: UInt8, fork: UInt8, tablespace: UInt32, database: UInt32, number: UInt32, block: UInt32,
            dataLength: Int, imageLength: UInt32, imageIsRestored: Bool, imageHeader: Int
        ) {
            let file = RelationFile(tablespace: tablespace, database: database, number: number)
            blocks.append((file, fork, block, dataLength, Int(imageLength), imageHeader))
        }

        mutating func record(
            _ header: RecordHeader, end: LSN, version: WALVersion, main: RawSpan
        ) -> RecordVerdict { .good }
    }
}

/// The layout of a page image in a record.
struct PageImage {
    let length: Int
    private let holeStart: Int
    private let holeLength: Int
    private let isPlain: Bool
    private let isPglz: Bool

    private static let pageSize = 8192

    /// Reads the header of an image at `at`.
    init(_ record: RawSpan, at: Int, version: WALVersion) {
        length = Int(record.u16(at))
        holeStart = Int(record.u16(at + 2))
        let info = record.u8(at + 4)
        let compression = info & ImageBits.compressed(version)
        isPlain = compression == 0
        isPglz = compression == ImageBits.pglz(version)
        if info & ImageBits.hasHole == 0 {
            holeLength = 0
        } else if isPlain {
            holeLength = PageImage.pageSize - length
        } else {
            holeLength = Int(record.u16(at + 5))
        }
    }

    /// The page; nil when it is compressed by a method not supported here (lz4, zstd).
    func page(_ bytes: [UInt8]) -> [UInt8]? {
        guard (0...PageImage.pageSize).contains(holeLength) else { return nil }
        let full = PageImage.pageSize - holeLength
        let rest = isPlain ? bytes : isPglz ? pglzUnpacked(bytes, length: full) : nil
        guard let rest, rest.count == full, holeStart <= full else { return nil }
        return rest[..<holeStart] + [UInt8](repeating: 0, count: holeLength) + rest[holeStart...]
    }
}

/// Decompresses PostgreSQL's own format (src/common/pg_lzcompress.c); nil when the bytes aren't valid.
func pglzUnpacked(_ bytes: [UInt8], length: Int) -> [UInt8]? {
    var unpacked: [UInt8] = []
    unpacked.reserveCapacity(length)
    var at = 0
    while at < bytes.count, unpacked.count < length {
        var control = bytes[at]
        at += 1
        for _ in 0..<8 where at < bytes.count && unpacked.count < length {
            if control & 1 == 0 {
                unpacked.append(bytes[at])
                at += 1
            } else {
                guard at + 1 < bytes.count else { return nil }
                var count = Int(bytes[at] & 0x0F) + 3
                let back = Int(bytes[at] & 0xF0) << 4 | Int(bytes[at + 1])
                at += 2
                if count == 18 {
                    guard at < bytes.count else { return nil }
                    count += Int(bytes[at])
                    at += 1
                }
                guard back > 0, back <= unpacked.count else { return nil }
                for _ in 0..<min(count, length - unpacked.count) { unpacked.append(unpacked[unpacked.count - back]) }
            }
            control >>= 1
        }
    }
    return unpacked.count == length ? unpacked : nil
}
