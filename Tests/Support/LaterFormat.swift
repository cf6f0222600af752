import CXXHash
import Repository

/// The version of tidemark that wrote what the functions below return.
public let laterVersion = "9.1.7"
private let laterBytes: [UInt8] = [9, 1, 7]

private func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    let sum = bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
    return withUnsafeBytes(of: sum.littleEndian) { Array($0) }
}

/// The object of an archived file with other bytes in its head, as `laterVersion` might write it: the checksum of the
/// head and the seal are right.
public func laterArchivedFile(_ bytes: [UInt8], _ values: [Int: UInt8]) -> [UInt8] {
    var bytes = bytes
    for (offset, value) in values { bytes[offset] = value }
    bytes.replaceSubrange(29..<32, with: laterBytes)
    let end = 8 + (0..<4).reduce(0) { $0 | Int(bytes[4 + $1]) << (8 * $1) }
    bytes.replaceSubrange(end - 8..<end, with: checksum(bytes[8..<end - 8]))
    // The seal's digest is before the table of frames (docs/repository.md).
    let frames = (0..<4).reduce(0) { $0 | Int(bytes[bytes.count - 9 + $1]) << (8 * $1) }
    let table = bytes.count - 9 - 8 * frames - 8
    let seal = Digest(of: Array(bytes[..<(table - 16)] + bytes[table...]))
    bytes.replaceSubrange(table - 16..<table, with: seal.bytes)
    return bytes
}

/// The same with a pack.
public func laterPack(_ bytes: [UInt8], _ values: [Int: UInt8]) -> [UInt8] {
    var bytes = bytes
    for (offset, value) in values { bytes[offset] = value }
    bytes.replaceSubrange(19..<22, with: laterBytes)
    bytes.replaceSubrange(22..<24, with: checksum(bytes[8..<22]).prefix(2))
    return bytes
}
