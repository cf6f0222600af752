import CZstd

/// The frames of an unfinished pack, from front to back, up to the first that isn't whole. There is no index to compare
/// them with: each is decompressed, which checks it, and its digest computed.
///
/// - Parameters:
///   - object: what a killed process left, see `ObjectStore.leftovers`.
///   - largest: no frame has more bytes of content.
/// - Returns: empty for anything that doesn't start as a pack does.
public func framesOfUnfinishedPack(_ object: any StoredObject, largest: Int) throws -> [PackFrame] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Compressor.bound(largest), alignment: 4096)
    let content = UnsafeMutableRawBufferPointer.allocate(byteCount: largest, alignment: 4096)
    defer {
        buffer.deallocate()
        content.deallocate()
    }
    guard try object.read(into: buffer, at: 0) >= PackFormat.headLength else { return [] }
    do { try PackFormat.check(Array(buffer[..<PackFormat.headLength]), of: object.key) } catch { return [] }
    var decompressor = try Decompressor()
    var frames: [PackFrame] = []
    var offset = Int64(PackFormat.headLength)
    while true {
        let count = try object.read(into: buffer, at: offset)
        let length = ZSTD_findFrameCompressedSize(buffer.baseAddress, count)
        // The index of a pack that was finished and not yet named is a skippable frame without content.
        guard ZSTD_isError(length) == 0, length <= count,
            let size = try? decompressor.decompress(UnsafeRawBufferPointer(rebasing: buffer[..<length]), into: content),
            size > 0
        else { return frames }
        frames.append(
            PackFrame(
                offset: UInt64(offset), length: UInt32(length), size: UInt32(size),
                digest: Digest(of: UnsafeRawBufferPointer(rebasing: content[..<size]))))
        offset += Int64(length)
    }
}
