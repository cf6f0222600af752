import CZstd
import Platform

/// The segments under Tests/WALTests/Fixtures, unpacked.
public enum WALFixture {
    private static let root = Files.parent(Files.parent(#filePath)) + "/WALTests/Fixtures"

    /// A file, unchanged.
    public static func file(_ folder: String, _ name: String) throws -> [UInt8] {
        try Files.read("\(root)/\(folder)/\(name)")
    }

    /// The content of a compressed file, by its own name.
    public static func unpacked(_ folder: String, _ name: String) throws -> [UInt8] {
        try unpackedFile("\(root)/\(folder)/\(name).zst")
    }

    /// The names of a folder's segments, in order; those of the promoted timeline last.
    public static func segments(_ folder: String) throws -> [String] {
        try Files.list("\(root)/\(folder)").filter { $0.utf8.count == 28 && $0.hasSuffix(".zst") }
            .map { String($0.dropLast(4)) }.sorted()
    }
}

/// The content of a small compressed file.
public func unpackedFile(_ path: String) throws -> [UInt8] {
    let packed = try Files.read(path)
    let size = ZSTD_getFrameContentSize(packed, packed.count)
    let room = size < 1 << 30 ? Int(size) : 64 << 20
    let bytes = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        let written = ZSTD_decompress(buffer.baseAddress, buffer.count, packed, packed.count)
        count = ZSTD_isError(written) == 0 ? written : 0
    }
    guard !bytes.isEmpty else { throw Problem("cannot unpack fixture \"\(path)\"") }
    return bytes
}
