import CXXHash
import Platform
public import WAL

/// The head of a stored segment: a zstd skippable frame in front of the compressed segment, which says what is in it
/// (docs/repository.md). Decompressors skip it, so that `zstd -d` gives the segment back.
///
/// | offset | bytes | |
/// | --- | --- | --- |
/// | 0 | 4 | magic 0x184D2A5E, little-endian as all numbers here |
/// | 4 | 4 | length of the rest of the head |
/// | 8 | 8 | `TIDEMARK` |
/// | 16 | 1 | format version, 1 |
/// | 17 | 1 | codec: 1 zstd |
/// | 18 | 1 | cipher: 0 none |
/// | 19 | 1 | flags: 1 stored although it does not continue its predecessor; 2 its timeline was left in it |
/// | 20 | 4 | length of the summary |
/// | 24 | 4 | length of the segment |
/// | 28 | 1 | 0 |
/// | 29 | 3 | the version of tidemark that wrote it, `WriterVersion` |
/// | 32 | 16 | XXH3-128 of the segment, canonical form |
/// | 48 | … | summary: `WAL.SegmentSummary.encode()`; empty when the segment could not be read |
/// | … | 8 | XXH3-64 of everything from offset 8 to here |
///
/// Every later format keeps the tag and what lies before it, the format version, the version of tidemark and the
/// checksum, so that a program recognises a head it can't read, and says which version can.
public struct SegmentHead: Hashable, Sendable {
    /// The segment's length in bytes.
    public let rawLength: UInt64
    /// Of the segment's bytes.
    public let digest: Digest
    /// The scanner's summary, as `WAL.SegmentSummary.encode()` wrote it; empty when the segment could not be read.
    public let summary: [UInt8]
    /// `archive-push` was run with the option to store the segment although it does not continue its predecessor.
    public let acceptedDiscontinuity: Bool
    /// When the server archived the segment it had left the timeline in it or before it: the records may end early, as
    /// in a `.partial`, and there may be further copies (`ObjectStore.stored`).
    public let isLeft: Bool
    private let writer: WriterVersion

    public init(
        rawLength: UInt64, digest: Digest, summary: [UInt8], acceptedDiscontinuity: Bool = false, isLeft: Bool = false
    ) {
        self.init(rawLength, digest, summary, acceptedDiscontinuity, isLeft, by: .current)
    }

    private init(
        _ rawLength: UInt64, _ digest: Digest, _ summary: [UInt8], _ acceptedDiscontinuity: Bool, _ isLeft: Bool,
        by writer: WriterVersion
    ) {
        self.rawLength = rawLength
        self.digest = digest
        self.summary = summary
        self.acceptedDiscontinuity = acceptedDiscontinuity
        self.isLeft = isLeft
        self.writer = writer
    }

    static let magic: UInt32 = 0x184D_2A5E
    static let tag: [UInt8] = Array("TIDEMARK".utf8)
    static let fixedLength = 48
    static let version: UInt8 = 1
    /// No segment is longer (`WalSegMaxSize`, src/include/access/xlog_internal.h), nor any other file that is archived.
    static let maximumContent: UInt64 = 1 << 30
    /// No head is longer; a length beyond it is damage.
    static let maximumLength = 64 << 20
    /// Most heads are shorter; this many bytes are read at first.
    public static let usualLength = 16 << 10

    /// Bytes before the compressed segment.
    public var encodedLength: Int { SegmentHead.fixedLength + summary.count + 8 }

    public func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(encodedLength)
        bytes.appendLittleEndian(SegmentHead.magic)
        bytes.appendLittleEndian(UInt32(encodedLength - 8))
        bytes += SegmentHead.tag
        bytes += [SegmentHead.version, 1, 0, (acceptedDiscontinuity ? 1 : 0) | (isLeft ? 2 : 0)]
        bytes.appendLittleEndian(UInt32(summary.count))
        bytes.appendLittleEndian(UInt32(clamping: rawLength))
        bytes += [0] + writer.bytes
        bytes += digest.bytes
        bytes += summary
        bytes.appendLittleEndian(bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress! + 8, $0.count - 8) })
        return bytes
    }

    /// Reads an object's head, with one range read unless the summary is long.
    /// - Throws: `ObjectDamaged`, `UnsupportedFormat`, and what the store throws.
    public init(of object: any StoredObject) throws {
        func damaged(_ reason: String) -> ObjectDamaged { ObjectDamaged(key: object.key, reason) }
        var bytes = [UInt8](repeating: 0, count: Int(min(object.size, Int64(SegmentHead.usualLength))))
        var count = try bytes.withUnsafeMutableBytes { try object.read(into: $0, at: 0) }
        guard count == bytes.count else { throw damaged("It is shorter than its directory entry says.") }
        guard count >= SegmentHead.fixedLength + 8 else { throw damaged("It has only \(object.size) bytes.") }
        guard bytes.littleEndian(UInt32.self, at: 0) == SegmentHead.magic, Array(bytes[8..<16]) == SegmentHead.tag
        else {
            throw damaged("It does not start as a stored segment does.")
        }
        let length = Int(bytes.littleEndian(UInt32.self, at: 4)) + 8
        let summaryLength = Int(bytes.littleEndian(UInt32.self, at: 20))
        guard length <= SegmentHead.maximumLength, length <= object.size,
            length >= SegmentHead.fixedLength + 8,
            length == SegmentHead.fixedLength + summaryLength + 8 || bytes[16] != SegmentHead.version
        else { throw damaged("Its head has an impossible length.") }
        if length > count {
            bytes += [UInt8](repeating: 0, count: length - count)
            count += try bytes.withUnsafeMutableBytes {
                try object.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[count...]), at: Int64(count))
            }
            guard count == length else { throw damaged("It ends within its head.") }
        }
        let sum = bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress! + 8, length - 16) }
        guard bytes.littleEndian(UInt64.self, at: length - 8) == sum else {
            throw damaged("Its head does not match its checksum.")
        }
        let writer = WriterVersion(bytes: bytes[29..<29 + WriterVersion.length])
        guard bytes[16] == SegmentHead.version, bytes[17] == 1, bytes[18] == 0, bytes[19] & ~3 == 0, bytes[28] == 0
        else {
            throw UnsupportedFormat(key: object.key, version: writer.description)
        }
        let rawLength = UInt64(bytes.littleEndian(UInt32.self, at: 24))
        guard rawLength <= SegmentHead.maximumContent else { throw damaged("Its head has an impossible size.") }
        self.init(
            rawLength, Digest(bytes: bytes[32..<48]), Array(bytes[SegmentHead.fixedLength..<(length - 8)]),
            bytes[19] & 1 != 0, bytes[19] & 2 != 0, by: writer)
    }

    /// The summary of the segment's records; nil when it was stored unread.
    /// - Parameter key: of the object that has this head.
    /// - Throws: `BadSummary`, `UnsupportedFormat`.
    public func decodedSummary(of key: RepositoryKey) throws -> SegmentSummary? {
        guard let format = summary.first else { return nil }
        if format > SegmentSummary.formatVersion, writer != .current {
            throw UnsupportedFormat(key: key, version: writer.description)
        }
        return try SegmentSummary(decoding: summary)
    }
}

extension [UInt8] {
    mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    func littleEndian<Value: FixedWidthInteger>(_: Value.Type, at offset: Int) -> Value {
        withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self)) }
    }
}
