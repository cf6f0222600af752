/// One reading of a whole pack, from its beginning to its end: frames on the way, and at the end the digest of all
/// stored bytes. It reads from the disk, whatever is in memory already, and decompresses nothing.
///
/// After an error nothing more is known of the pack by this way.
public final class PackPass {
    private let object: any StoredObject
    private var digester = Digester()
    private var offset: Int64 = 0

    public init(of pack: StoredPack) {
        object = pack.object
        object.release(at: 0, count: object.size)
        object.readAhead(at: 0, count: object.size)
    }

    /// A frame's stored bytes. Nil for one that isn't on the way: it lies before what was read last or outside of the
    /// pack, or is longer than `largest`.
    public func bytes(of frame: PackFrame, largest: Int) throws -> [UInt8]? {
        let length = Int(frame.length)
        guard let start = Int64(exactly: frame.offset), start >= offset, start <= object.size - Int64(length),
            length <= largest
        else { return nil }
        try skip(to: start)
        return try [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            try read(into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: length))
            count = length
        }
    }

    /// Reads what is left.
    public func digest() throws -> Digest {
        try skip(to: object.size)
        return digester.finish()
    }

    private func skip(to end: Int64) throws {
        guard offset < end else { return }
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { window.deallocate() }
        while offset < end {
            let count = Int(min(end - offset, Int64(window.count)))
            try read(into: UnsafeMutableRawBufferPointer(rebasing: window[..<count]))
        }
    }

    private func read(into buffer: UnsafeMutableRawBufferPointer) throws {
        guard try object.read(into: buffer, at: offset) == buffer.count else {
            throw ObjectDamaged(key: object.key, "It became shorter while it was read.")
        }
        object.release(at: offset, count: Int64(buffer.count))
        digester.update(UnsafeRawBufferPointer(buffer))
        offset += Int64(buffer.count)
    }
}
