/// A zstd skippable frame, right before a stored file's table of frames, that proves the stored bytes without
/// decompressing them. Any zstd skips it.
///
/// | offset | bytes | |
/// | --- | --- | --- |
/// | 0 | 4 | magic 0x184D2A5F |
/// | 4 | 4 | length of the rest, 24 |
/// | 8 | 8 | `TIDEXXH3` |
/// | 16 | 16 | XXH3-128 of all other bytes of the object, canonical form |
struct ObjectSeal {
    /// The digest of all bytes of the object but these sixteen.
    let digest: Digest

    private static let magic: UInt32 = 0x184D_2A5F
    private static let tag = Array("TIDEXXH3".utf8)
    /// Bytes before the digest.
    static let headLength = 16
    static let encodedLength = headLength + 16

    /// The bytes before the digest.
    static let head: [UInt8] = {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(magic)
        bytes.appendLittleEndian(UInt32(encodedLength - 8))
        return bytes + tag
    }()
}
