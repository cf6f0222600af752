import Platform

/// A file from PostgreSQL's archiver in the repository, open for reading: a segment, or one of the small files beside
/// it.
public final class StoredSegment: Sendable {
    public let head: SegmentHead
    private let object: any StoredObject

    /// - Throws: `ObjectAbsent`, `ObjectDamaged`, `UnsupportedFormat`, and what the store throws.
    public convenience init(_ key: RepositoryKey, in store: any ObjectStore) throws {
        try self.init(store.open(key, bringing: SegmentHead.usualLength))
    }

    public init(_ object: any StoredObject) throws {
        self.object = object
        head = try SegmentHead(of: object)
    }

    public var key: RepositoryKey { object.key }
    /// Bytes in the repository.
    public var storedLength: Int64 { object.size }

    /// Reads the whole object and compares its stored bytes with the XXH3-128 that it ends with. Decompresses nothing.
    /// - Throws: `ObjectDamaged`, and what the store throws.
    public func prove() throws {
        let object = object.forReadingAll
        let (table, seal) = try FrameTable.read(from: object, contentLength: head.rawLength, start: head.encodedLength)
        var proof = SealProof(head, table)
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { window.deallocate() }
        var (offset, left) = (Int64(head.encodedLength), table.frames.reduce(0) { $0 + $1.compressed })
        while left > 0 {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: window[..<min(left, window.count)])
            guard try object.read(into: wanted, at: offset) == wanted.count else { throw becameShorter }
            proof.update(UnsafeRawBufferPointer(wanted))
            offset += Int64(wanted.count)
            left -= wanted.count
        }
        try check(proof.finish(), against: seal)
    }

    /// Hands the content to `write`, in order, in pieces of up to 2 MiB that are valid during the call.
    /// Returns only when everything has been verified: every frame's checksum, the length and XXH3-128 in the head, and
    /// the digest of the stored bytes. On an error the caller must discard what was written.
    /// - Throws: `ObjectDamaged`, and what the store and `write` throw.
    public func extract(
        with decompressor: inout Decompressor, write: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let object = object.forReadingAll
        let (table, seal) = try FrameTable.read(from: object, contentLength: head.rawLength, start: head.encodedLength)
        let buffer = FrameBuffer(table)
        var digester = Digester()
        var proof = SealProof(head, table)
        var offset = Int64(head.encodedLength)
        for frame in table.frames {
            try unpack(frame, at: offset, of: object, into: buffer, with: &decompressor)
            offset += Int64(frame.compressed)
            proof.update(buffer.storedBytes)
            digester.update(buffer.bytes)
            try write(buffer.bytes)
        }
        try check(digester.finish())
        try check(proof.finish(), against: seal)
    }

    /// As `extract`, but two more threads decompress, up to three frames (6 MiB) ahead of `write`, which runs on this
    /// one.
    public func extractConcurrently(write: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard SegmentFrame.count(head.rawLength) > 1 else {
            var decompressor = try Decompressor()
            return try extract(with: &decompressor, write: write)
        }
        let object = object.forReadingAll
        let (table, seal) = try FrameTable.read(from: object, contentLength: head.rawLength, start: head.encodedLength)
        var offset = Int64(head.encodedLength)
        var items: [(at: Int64, compressed: Int, content: Int)] = []
        for frame in table.frames {
            items.append((offset, frame.compressed, frame.content))
            offset += Int64(frame.compressed)
        }
        let buffers = Monitor<[FrameBuffer]>([])
        let tools = Monitor<[DecompressorBox]>([])
        var digester = Digester()
        var proof = SealProof(head, table)
        try mapInOrder(
            items, workers: 2, ahead: 3,
            transform: { [self] item in
                let buffer = buffers.update { $0.popLast() } ?? FrameBuffer(table)
                let tool = try tools.update { $0.popLast() } ?? DecompressorBox()
                try unpack(
                    (item.compressed, item.content), at: item.at, of: object, into: buffer, with: &tool.decompressor)
                tools.update { $0.append(tool) }
                return buffer
            },
            consume: { buffer in
                proof.update(buffer.storedBytes)
                digester.update(buffer.bytes)
                try write(buffer.bytes)
                buffers.update { $0.append(buffer) }
            })
        try check(digester.finish())
        try check(proof.finish(), against: seal)
    }

    /// The whole content of a small file, verified as by `extract`.
    /// - Throws: `ObjectDamaged` also when it has more than `limit` bytes.
    public func bytes(limit: Int) throws -> [UInt8] {
        guard head.rawLength <= limit else {
            throw damaged("It holds \(head.rawLength) bytes; at most \(limit) were expected.")
        }
        var bytes: [UInt8] = []
        var decompressor = try Decompressor()
        try extract(with: &decompressor) { bytes += $0 }
        return bytes
    }

    private func unpack(
        _ frame: (compressed: Int, content: Int), at offset: Int64, of object: any StoredObject,
        into buffer: FrameBuffer, with decompressor: inout Decompressor
    ) throws {
        let input = UnsafeMutableRawBufferPointer(rebasing: buffer.compressed[..<frame.compressed])
        guard try object.read(into: input, at: offset) == frame.compressed else { throw becameShorter }
        buffer.storedCount = frame.compressed
        do {
            buffer.count = try decompressor.decompress(UnsafeRawBufferPointer(input), into: buffer.content)
        } catch {
            guard !error.isOutOfMemory else { throw error }
            throw damaged("zstd says: \(error.reason).")
        }
        guard buffer.count == frame.content else {
            throw damaged("A frame holds \(buffer.count) bytes; the table says \(frame.content).")
        }
    }

    private func check(_ digest: Digest) throws {
        guard digest == head.digest else {
            throw damaged("Its content has XXH3-128 \(digest); its head says \(head.digest).")
        }
    }

    private func check(_ digest: Digest, against seal: ObjectSeal) throws {
        guard digest == seal.digest else {
            throw damaged("Its stored bytes have XXH3-128 \(digest); it ends with \(seal.digest).")
        }
    }

    private var becameShorter: ObjectDamaged { damaged("It became shorter while it was read.") }

    private func damaged(_ reason: String) -> ObjectDamaged { ObjectDamaged(key: object.key, reason) }
}

/// Computes the digest of an object's stored bytes from its compressed frames, in order.
private struct SealProof: ~Copyable {
    private var digester = Digester()
    private let end: [UInt8]

    init(_ head: SegmentHead, _ table: FrameTable) {
        end = ObjectSeal.head + table.encode()
        // The head was verified, so what was read is exactly what it encodes to.
        head.encode().withUnsafeBytes { digester.update($0) }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) { digester.update(bytes) }

    mutating func finish() -> Digest {
        end.withUnsafeBytes { digester.update($0) }
        return digester.finish()
    }
}

/// Buffers for one frame, compressed and decompressed.
///
/// `@unchecked Sendable`: one thread has it at a time, handed over through a monitor.
private final class FrameBuffer: @unchecked Sendable {
    let compressed: UnsafeMutableRawBufferPointer
    let content: UnsafeMutableRawBufferPointer
    var storedCount = 0
    var count = 0

    init(_ table: FrameTable) {
        func most(_ path: (((compressed: Int, content: Int)) -> Int)) -> Int { table.frames.map(path).max() ?? 0 }
        compressed = .allocate(byteCount: max(1, most { $0.compressed }), alignment: 4096)
        content = .allocate(byteCount: max(1, most { $0.content }), alignment: 4096)
    }

    deinit {
        compressed.deallocate()
        content.deallocate()
    }

    var storedBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: compressed[..<storedCount]) }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: content[..<count]) }
}

private final class DecompressorBox: @unchecked Sendable {
    var decompressor: Decompressor
    init() throws(CodecError) { decompressor = try Decompressor() }
}
