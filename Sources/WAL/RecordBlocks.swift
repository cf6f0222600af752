/// The block and data headers of a record, from its 25th byte on (src/include/access/xlogrecord.h).
protocol RecordVisitor: ~Copyable {
    /// A block reference.
    /// - Parameters:
    ///   - dataLength: bytes.
    ///   - imageLength: bytes; 0 when there is no image.
    ///   - imageHeader: the offset of the image's header in the record.
    mutating func block(
        id: UInt8, fork: UInt8, tablespace: UInt32, database: UInt32, number: UInt32, block: UInt32,
        dataLength: Int, imageLength: UInt32, imageIsRestored: Bool, imageHeader: Int)

    /// The record whose blocks were visited just before. `main` is its main data, cut short for a long logical message,
    /// whose contents aren't needed.
    mutating func record(_ header: RecordHeader, end: LSN, version: WALVersion, main: RawSpan) -> RecordVerdict

    /// The whole record, before `record`, for the contents of its blocks' images and data. Cut short like `main`.
    mutating func contents(_ record: RawSpan, _ header: RecordHeader, version: WALVersion)
}

extension RecordVisitor where Self: ~Copyable {
    @inline(__always)
    mutating func contents(_ record: RawSpan, _ header: RecordHeader, version: WALVersion) {}
}

enum RecordVerdict {
    case good
    /// The main data isn't valid for the record's kind.
    case malformed
    /// The visitor needs no more records.
    case stop
}

/// Reads the headers in `record[24...]`, passes each block reference to the visitor, and returns where the main data
/// starts; nil if the parts don't add up to `total` bytes. `record` may hold only the first 4 KiB of a longer record.
///
/// Every read is preceded by one bounds check and has no second one. No sum can overflow: a record is shorter than 2^30
/// bytes, each of its headers announces less than 2^32, and it has less than 2^30 of them.
@inline(__always)
func readBlocks<Visitor: RecordVisitor & ~Copyable>(
    _ record: RawSpan, total: Int, version: WALVersion, _ visitor: inout Visitor
) -> Int? {
    let available = record.byteCount
    var at = 24
    var announced = 0
    var mainLength = 0
    var tablespace: UInt32 = 0
    var database: UInt32 = 0
    var number: UInt32 = 0
    var hasRelation = false

    while total &- at > announced {
        guard at &+ 2 <= available else { return nil }
        let id = record.present8(at)
        if id <= BlockID.maximum {
            guard at &+ 4 <= available else { return nil }
            let bits = record.present8(at &+ 1)
            let dataLength = Int(record.present16(at &+ 2))
            at &+= 4
            announced &+= dataLength
            guard (bits & BlockBits.hasData != 0) == (dataLength != 0) else { return nil }
            var imageLength: UInt32 = 0
            var imageIsRestored = false
            let imageHeader = at
            if bits & BlockBits.hasImage != 0 {
                guard at &+ 5 <= available else { return nil }
                imageLength = UInt32(record.present16(at))
                let info = record.present8(at &+ 4)
                at &+= 5
                announced &+= Int(imageLength)
                let isCompressed = info & ImageBits.compressed(version) != 0
                if isCompressed, info & ImageBits.hasHole != 0 { at &+= 2 }
                imageIsRestored = info & ImageBits.apply(version) != 0
            }
            if bits & BlockBits.sameRelation == 0 {
                guard at &+ 12 <= available else { return nil }
                tablespace = record.present32(at)
                database = record.present32(at &+ 4)
                number = record.present32(at &+ 8)
                hasRelation = true
                at &+= 12
            } else if !hasRelation {
                return nil
            }
            guard at &+ 4 <= available, bits & BlockBits.fork <= 3 else { return nil }
            visitor.block(
                id: id, fork: bits & BlockBits.fork, tablespace: tablespace, database: database, number: number,
                block: record.present32(at), dataLength: dataLength, imageLength: imageLength,
                imageIsRestored: imageIsRestored, imageHeader: imageHeader)
            at &+= 4
        } else if id == BlockID.dataShort {
            mainLength = Int(record.present8(at &+ 1))
            announced &+= mainLength
            at &+= 2
            break
        } else if id == BlockID.dataLong {
            guard at &+ 5 <= available else { return nil }
            mainLength = Int(record.present32(at &+ 1))
            announced &+= mainLength
            at &+= 5
            break
        } else if id == BlockID.origin {
            at &+= 3
        } else if id == BlockID.topLevelXID {
            at &+= 5
        } else {
            return nil
        }
    }
    guard at &+ announced == total else { return nil }
    return total &- mainLength
}
