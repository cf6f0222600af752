import CXXHash

/// One independently compressed piece of a pack.
public struct PackFrame: Hashable, Sendable {
    /// Bytes from the start of the pack.
    public let offset: UInt64
    /// Bytes in the pack.
    public let length: UInt32
    /// Bytes of content.
    public let size: UInt32
    /// The content's digest.
    public let digest: Digest

    public init(offset: UInt64, length: UInt32, size: UInt32, digest: Digest) {
        self.offset = offset
        self.length = length
        self.size = size
        self.digest = digest
    }
}

/// A pack's layout: a head, zstd frames back to back, and an index of them. Head and index are skippable frames, so
/// that `zstd -d` gives the frames' contents, one after the other. Numbers are little-endian.
///
/// | head | bytes | |
/// | --- | --- | --- |
/// | 0 | 4 | magic 0x184D2A5E |
/// | 4 | 4 | length of the rest of the head, 16 |
/// | 8 | 8 | `TIDEPACK` |
/// | 16 | 1 | format version, 1 |
/// | 17 | 1 | codec: 1 zstd |
/// | 18 | 1 | cipher: 0 none |
/// | 19 | 3 | the version of tidemark that wrote it, `WriterVersion` |
/// | 22 | 2 | the low 16 bits of the XXH3-64 of everything from offset 8 to here |
///
/// | index | bytes | |
/// | --- | --- | --- |
/// | 0 | 4 | magic 0x184D2A5F |
/// | 4 | 4 | length of the rest |
/// | 8 | 32 each | per frame: offset 8, length 4, size of the content 4, XXH3-128 of the content 16 (canonical form) |
/// | … | 8 | XXH3-64 of the entries |
/// | … | 4 | number of entries |
/// | … | 4 | `TPIX` |
///
/// Every later format keeps the head, so that a program recognises a pack it can't read, and says which version can.
enum PackFormat {
    static let headMagic: UInt32 = 0x184D_2A5E
    static let indexMagic: UInt32 = 0x184D_2A5F
    static let tag = Array("TIDEPACK".utf8)
    static let endTag = Array("TPIX".utf8)
    static let headLength = 24
    static let entryLength = 32
    static let footerLength = 16

    static func head() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(headMagic)
        bytes.appendLittleEndian(UInt32(headLength - 8))
        bytes += tag + known + WriterVersion.current.bytes
        bytes.appendLittleEndian(sum(of: bytes[8...]))
        return bytes
    }

    /// Format version, codec and cipher.
    private static let known: [UInt8] = [1, 1, 0]

    private static func sum(of bytes: ArraySlice<UInt8>) -> UInt16 {
        UInt16(truncatingIfNeeded: bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) })
    }

    /// Checks a pack's head.
    /// - Parameter bytes: its first `headLength` bytes.
    /// - Throws: `ObjectDamaged`, `UnsupportedFormat`.
    static func check(_ bytes: [UInt8], of key: RepositoryKey) throws {
        guard bytes.littleEndian(UInt32.self, at: 0) == headMagic, Array(bytes[8..<16]) == tag
        else { throw ObjectDamaged(key: key, "It does not start as a pack does.") }
        guard bytes.littleEndian(UInt16.self, at: 22) == sum(of: bytes[8..<22]) else {
            throw ObjectDamaged(key: key, "Its head does not match its checksum.")
        }
        guard bytes[16..<19].elementsEqual(known) else {
            let version = WriterVersion(bytes: bytes[19..<19 + WriterVersion.length])
            throw UnsupportedFormat(key: key, version: version.description)
        }
    }

    static func index(_ frames: [PackFrame]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + frames.count * entryLength + footerLength)
        bytes.appendLittleEndian(indexMagic)
        bytes.appendLittleEndian(UInt32(frames.count * entryLength + footerLength))
        for frame in frames {
            bytes.appendLittleEndian(frame.offset)
            bytes.appendLittleEndian(frame.length)
            bytes.appendLittleEndian(frame.size)
            bytes += frame.digest.bytes
        }
        bytes.appendLittleEndian(bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress! + 8, $0.count - 8) })
        bytes.appendLittleEndian(UInt32(frames.count))
        return bytes + endTag
    }
}
