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
        struct Announced {
            var file: RelationFile
            var fork: UInt8
            var block: UInt32
            var dataLength: Int
            var image: PageImage?
        }
        var announced: [Announced] = []
        var mainLength = 0
        var at = 24
        var total = 0
        var file = RelationFile(tablespace: 0, database: 0, number: 0)
        headers: while record.byteCount - at > total {
            let id = record.u8(at)
            switch id {
            case 0...32:
                let bits = record.u8(at + 1)
                let dataLength = Int(record.u16(at + 2))
                at += 4
                total += dataLength
                var image: PageImage?
                if bits & BlockBits.hasImage != 0 {
                    let found = PageImage(record, at: &at, version: version)
                    total += found.length
                    image = found
                }
                if bits & BlockBits.sameRelation == 0 {
                    file = RelationFile(
                        tablespace: record.u32(at), database: record.u32(at + 4), number: record.u32(at + 8))
                    at += 12
                }
                announced.append(
                    Announced(
                        file: file, fork: bits & BlockBits.fork, block: record.u32(at), dataLength: dataLength,
                        image: image))
                at += 4
            case 255:
                mainLength = Int(record.u8(at + 1))
                at += 2
                break headers
            case 254:
                mainLength = Int(record.u32(at + 1))
                at += 5
                break headers
            case 253: at += 3
            case 252: at += 5
            default: return ([], [])
            }
        }
        guard at + total + mainLength == record.byteCount else { return ([], []) }
        func take(_ count: Int) -> [UInt8] {
            defer { at += count }
            return record.extracting(at..<at + count).withUnsafeBytes { Array($0) }
        }
        let blocks = announced.map { one in
            let image = one.image.map { $0.page(take($0.length)) }
            return BlockContents(
                file: one.file, fork: one.fork, block: one.block, image: image ?? nil,
                data: take(one.dataLength))
        }
        return (blocks, take(mainLength))
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

    /// Reads the header of an image at `at`, and advances past it.
    init(_ record: RawSpan, at: inout Int, version: WALVersion) {
        length = Int(record.u16(at))
        holeStart = Int(record.u16(at + 2))
        let info = record.u8(at + 4)
        at += 5
        let compression = info & ImageBits.compressed(version)
        isPlain = compression == 0
        isPglz = compression == ImageBits.pglz(version)
        if info & ImageBits.hasHole == 0 {
            holeLength = 0
        } else if isPlain {
            holeLength = PageImage.pageSize - length
        } else {
            holeLength = Int(record.u16(at))
            at += 2
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
