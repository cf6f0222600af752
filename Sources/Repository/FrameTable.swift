/// The end of a stored file: a seal over all its bytes (`ObjectSeal`), and a zstd skippable frame with the length of
/// every frame, in the format of zstd's own "seekable format" (contrib/seekable_format in zstd's sources), without
/// checksums. Any zstd skips both. The head and the seal are frames without content in the table, so that its lengths
/// add up to the place of every frame.
///
/// | offset | bytes | |
/// | --- | --- | --- |
/// | 0 | 4 | magic 0x184D2A5E |
/// | 4 | 4 | length of the rest |
/// | 8 | 8 × n | of every frame: compressed bytes, bytes of content |
/// | … | 4 | n |
/// | … | 1 | 0 |
/// | … | 4 | 0x8F92EAB1 |
struct FrameTable {
    /// Those with content.
    var frames: [(compressed: Int, content: Int)] = []
    /// Bytes before the first of them.
    let start: Int

    private static let footerLength = 9
    private static let footerMagic: UInt32 = 0x8F92_EAB1
    /// The head and the seal.
    private static let emptyFrames = 2

    /// Bytes of a table with this many frames that have content.
    private static func encodedLength(_ count: Int) -> Int { 8 + 8 * (count + emptyFrames) + footerLength }

    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(SegmentHead.magic)
        bytes.appendLittleEndian(UInt32(FrameTable.encodedLength(frames.count) - 8))
        for frame in [(start, 0)] + frames + [(ObjectSeal.encodedLength, 0)] {
            bytes.appendLittleEndian(UInt32(frame.0))
            bytes.appendLittleEndian(UInt32(frame.1))
        }
        bytes.appendLittleEndian(UInt32(frames.count + FrameTable.emptyFrames))
        bytes.append(0)
        bytes.appendLittleEndian(FrameTable.footerMagic)
        return bytes
    }

    /// - Parameter start: bytes before the first frame with content.
    init(start: Int) { self.start = start }

    /// Reads seal and table at the end of an object whose content has `contentLength` bytes and starts at `start`.
    /// - Returns: the seal, whose digest nobody has compared yet.
    /// - Throws: `ObjectDamaged` unless head, frames, seal and table fill the object exactly.
    static func read(
        from object: any StoredObject, contentLength: UInt64, start: Int
    ) throws -> (table: FrameTable, seal: ObjectSeal) {
        let count = SegmentFrame.count(contentLength)
        let length = encodedLength(count)
        let damaged = ObjectDamaged(key: object.key, "It is cut off, or its table of frames is damaged.")
        guard object.size >= start + ObjectSeal.encodedLength + length else { throw damaged }
        var bytes = [UInt8](repeating: 0, count: ObjectSeal.encodedLength + length)
        let got = try bytes.withUnsafeMutableBytes { try object.read(into: $0, at: object.size - Int64($0.count)) }
        guard got == bytes.count, bytes.starts(with: ObjectSeal.head) else { throw damaged }
        let seal = ObjectSeal(digest: Digest(bytes: bytes[ObjectSeal.headLength..<ObjectSeal.encodedLength]))
        bytes.removeFirst(ObjectSeal.encodedLength)
        // The compressed lengths are all that isn't known beforehand.
        var table = FrameTable(start: start)
        var end = start
        for index in 0..<count {
            let compressed = Int(bytes.littleEndian(UInt32.self, at: 16 + 8 * index))
            guard compressed <= Compressor.bound(SegmentFrame.length) else { throw damaged }
            table.frames.append((compressed, SegmentFrame.range(index, of: contentLength).count))
            end += compressed
        }
        guard end + ObjectSeal.encodedLength + length == object.size, table.encode() == bytes else { throw damaged }
        return (table, seal)
    }
}
