import CXXHash

/// A pack in the repository, open for reading; several threads may read from it at once.
public final class StoredPack: Sendable {
    let object: any StoredObject
    /// Bytes in the repository.
    public var storedLength: Int64 { object.size }
    public var key: RepositoryKey { object.key }

    /// - Throws: `ObjectAbsent`, `ObjectDamaged`, `UnsupportedFormat`, and what the store throws.
    public convenience init(_ key: RepositoryKey, in store: any ObjectStore) throws {
        try self.init(store.open(key, bringing: PackFormat.headLength))
    }

    public init(_ object: any StoredObject) throws {
        self.object = object
        let key = object.key
        guard object.size >= PackFormat.headLength + 8 + PackFormat.footerLength else {
            throw ObjectDamaged(key: key, "It has only \(object.size) bytes.")
        }
        try PackFormat.check(StoredPack.bytes(of: object, at: 0, count: PackFormat.headLength), of: key)
    }

    /// Reads the index at the pack's end.
    /// - Throws: `ObjectDamaged`, and what the store throws.
    public func index() throws -> [PackFrame] {
        func damaged(_ reason: String) -> ObjectDamaged { ObjectDamaged(key: object.key, reason) }
        let footer = try StoredPack.bytes(
            of: object, at: object.size - Int64(PackFormat.footerLength), count: PackFormat.footerLength)
        guard Array(footer[12...]) == PackFormat.endTag else { throw damaged("It does not end as a pack does.") }
        let count = Int(footer.littleEndian(UInt32.self, at: 8))
        let length = 8 + count * PackFormat.entryLength
        let start = object.size - Int64(PackFormat.footerLength + length)
        guard start >= PackFormat.headLength else { throw damaged("Its index has an impossible length.") }
        let bytes = try StoredPack.bytes(of: object, at: start, count: length)
        let sum = bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress! + 8, length - 8) }
        guard bytes.littleEndian(UInt32.self, at: 0) == PackFormat.indexMagic,
            footer.littleEndian(UInt64.self, at: 0) == sum
        else { throw damaged("Its index does not match its checksum.") }
        return try (0..<count).map { number in
            let at = 8 + number * PackFormat.entryLength
            let frame = PackFrame(
                offset: bytes.littleEndian(UInt64.self, at: at), length: bytes.littleEndian(UInt32.self, at: at + 8),
                size: bytes.littleEndian(UInt32.self, at: at + 12), digest: Digest(bytes: bytes[(at + 16)..<(at + 32)]))
            let (end, overflows) = frame.offset.addingReportingOverflow(UInt64(frame.length))
            guard !overflows, end <= UInt64(start) else { throw damaged("Its index has a frame outside of the pack.") }
            return frame
        }
    }

    /// Reads the whole pack from disk, whatever is cached, and computes the digest of its stored bytes. Decompresses
    /// nothing.
    public func digest() throws -> Digest {
        try PackPass(of: self).digest()
    }

    /// Announces that these frames will be extracted soon, in this order. Does not wait.
    public func readAhead(_ frames: some Sequence<PackFrame>) {
        var stretch: (start: UInt64, end: UInt64)?
        func ask() {
            guard let (start, end) = stretch else { return }
            object.readAhead(at: Int64(start), count: Int64(end - start))
        }
        for frame in frames where frame.offset <= UInt64(object.size) {
            let end = frame.offset + UInt64(frame.length)
            if let last = stretch, last.end == frame.offset {
                stretch = (last.start, end)
            } else {
                ask()
                stretch = (frame.offset, end)
            }
        }
        ask()
    }

    /// Reads one frame's compressed bytes into `buffer`, decompresses them into `content`, and checks length and
    /// digest. Tells the kernel not to cache it: a frame is usually extracted once.
    ///
    /// - Parameters:
    ///   - buffer: at least `frame.length` bytes.
    ///   - content: at least `frame.size` bytes.
    /// - Throws: `ObjectDamaged`, and what the store throws.
    public func extract(
        _ frame: PackFrame, with decompressor: inout Decompressor, buffer: UnsafeMutableRawBufferPointer,
        content: UnsafeMutableRawBufferPointer
    ) throws {
        guard Int(frame.length) <= buffer.count, frame.offset <= UInt64(object.size) else {
            throw damaged(frame, "its place or length is impossible")
        }
        let stored = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(frame.length)])
        guard try object.read(into: stored, at: Int64(frame.offset)) == stored.count else {
            throw damaged(frame, "the pack ends within it")
        }
        object.release(at: Int64(frame.offset), count: Int64(frame.length))
        try unpack(frame, UnsafeRawBufferPointer(stored), with: &decompressor, content: content)
    }

    private func damaged(_ frame: PackFrame, _ reason: String) -> ObjectDamaged {
        ObjectDamaged(key: object.key, "The frame at offset \(frame.offset) is damaged: \(reason).")
    }

    /// The same with a frame's compressed bytes that were read already.
    public func unpack(
        _ frame: PackFrame, _ stored: UnsafeRawBufferPointer, with decompressor: inout Decompressor,
        content: UnsafeMutableRawBufferPointer
    ) throws {
        func damaged(_ reason: String) -> ObjectDamaged { self.damaged(frame, reason) }
        guard Int(frame.size) <= content.count else { throw damaged("its place or length is impossible") }
        let size: Int
        do throws(CodecError) {
            size = try decompressor.decompress(stored, into: content)
        } catch {
            guard !error.isOutOfMemory else { throw error }
            throw damaged("zstd says: \(error.reason)")
        }
        guard size == Int(frame.size) else { throw damaged("it holds \(size) bytes, \(frame.size) expected") }
        guard Digest(of: UnsafeRawBufferPointer(rebasing: content[..<size])) == frame.digest else {
            throw damaged("its content has another XXH3-128 than the manifest says")
        }
    }

    private static func bytes(of object: any StoredObject, at offset: Int64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let read = try bytes.withUnsafeMutableBytes { try object.read(into: $0, at: offset) }
        guard read == count else { throw ObjectDamaged(key: object.key, "It ends within its head or index.") }
        return bytes
    }
}
