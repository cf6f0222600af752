/// The end of a stored file: a zstd skippable frame with the length of every frame, in the format of zstd's own
/// "seekable format" (contrib/seekable_format in zstd's sources), without checksums. Any zstd skips it.
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
    var frames: [(compressed: Int, content: Int)] = []

    static let footerLength = 9
    private static let footerMagic: UInt32 = 0x8F92_EAB1

    static func encodedLength(_ count: Int) -> Int { 8 + 8 * count + footerLength }

    func encode() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(SegmentHead.magic)
        bytes.appendLittleEndian(UInt32(FrameTable.encodedLength(frames.count) - 8))
        for frame in frames {
            bytes.appendLittleEndian(UInt32(frame.compressed))
            bytes.appendLittleEndian(UInt32(frame.content))
        }
        bytes.appendLittleEndian(UInt32(frames.count))
        bytes.append(0)
        bytes.appendLittleEndian(FrameTable.footerMagic)
        return bytes
    }

    init() {}

    /// Reads the table at the end of an object whose content has `contentLength` bytes and starts at `start`.
    /// - Throws: `ObjectDamaged` unless frames and table fill the object exactly.
    init(of object: any StoredObject, contentLength: UInt64, start: Int) throws {
        let count = SegmentFrame.count(contentLength)
        let length = FrameTable.encodedLength(count)
        let damaged = ObjectDamaged(key: object.key, "It is cut off, or its table of frames is damaged.")
        guard object.size >= start + length else { throw damaged }
        var bytes = [UInt8](repeating: 0, count: length)
        let got = try bytes.withUnsafeMutableBytes { try object.read(into: $0, at: object.size - Int64(length)) }
        guard got == length, bytes.littleEndian(UInt32.self, at: 0) == SegmentHead.magic,
            bytes.littleEndian(UInt32.self, at: 4) == UInt32(length - 8),
            bytes.littleEndian(UInt32.self, at: length - 9) == UInt32(count), bytes[length - 5] == 0,
            bytes.littleEndian(UInt32.self, at: length - 4) == FrameTable.footerMagic
        else { throw damaged }
        var end = start
        for index in 0..<count {
            let compressed = Int(bytes.littleEndian(UInt32.self, at: 8 + 8 * index))
            let content = Int(bytes.littleEndian(UInt32.self, at: 12 + 8 * index))
            guard compressed <= Compressor.bound(SegmentFrame.length),
                content == SegmentFrame.range(index, of: contentLength).count
            else { throw damaged }
            frames.append((compressed, content))
            end += compressed
        }
        guard end + length == object.size else { throw damaged }
    }
}
