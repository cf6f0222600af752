import Platform

/// A file from PostgreSQL's archiver in the repository, open for reading: a segment, or one of the small files beside it.
public final class StoredSegment: Sendable {
    public let head: SegmentHead
    private let object: any StoredObject

    /// - Throws: `ObjectAbsent`, `ObjectDamaged`, `UnsupportedFormat`, and what the store throws.
    public convenience init(_ key: RepositoryKey, in store: any ObjectStore) throws {
        try self.init(store.open(key))
    }

    public init(_ object: any StoredObject) throws {
        self.object = object
        head = try SegmentHead(of: object)
    }

    /// Bytes in the repository.
    public var storedLength: Int64 { object.size }

    /// Hands the segment's bytes to `write`, in order, in pieces of at most 128 KiB that are valid during the call.
    ///
    /// Returns only when everything has been verified: the frame's checksum, the length and the XXH3-128 the head
    /// names, and that nothing follows. What was written before a throw must be discarded.
    /// - Throws: `ObjectDamaged`, and what the store and `write` throw.
    public func extract(
        with decompressor: inout Decompressor, write: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
        defer {
            input.deallocate()
            window.deallocate()
        }
        var digester = Digester()
        var length: UInt64 = 0
        var offset = Int64(head.encodedLength)
        var complete = false
        try decompressor.begin()
        while !complete {
            let count = try object.read(into: input, at: offset)
            guard count > 0 else { throw damaged("It ends after \(offset) bytes, within the compressed segment.") }
            let step: (complete: Bool, used: Int)
            do {
                step = try decompressor.feed(UnsafeRawBufferPointer(rebasing: input[..<count]), window: window) {
                    length += UInt64($0.count)
                    guard length <= head.rawLength else { throw damaged("It holds more than its head says.") }
                    digester.update($0)
                    try write($0)
                }
            } catch let error as CodecError {
                throw damaged("zstd says: \(error.reason).")
            }
            offset += Int64(step.used)
            complete = step.complete
        }
        guard offset == object.size else { throw damaged("Something follows the compressed segment.") }
        guard length == head.rawLength else {
            throw damaged("It holds \(length) bytes; its head says \(head.rawLength).")
        }
        let digest = digester.finish()
        guard digest == head.digest else {
            throw damaged("Its content has XXH3-128 \(digest); its head says \(head.digest).")
        }
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

    private func damaged(_ reason: String) -> ObjectDamaged { ObjectDamaged(key: object.key, reason) }
}
