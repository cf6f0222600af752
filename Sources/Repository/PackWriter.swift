/// Fills one pack inside `ObjectStore.create`'s closure.
public struct PackWriter {
    private let append: (UnsafeRawBufferPointer) throws -> Void
    /// Bytes so far.
    public private(set) var length: UInt64
    public private(set) var frames: [PackFrame] = []

    /// Writes the head.
    public init(append: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
        self.append = append
        let head = PackFormat.head()
        try head.withUnsafeBytes { try append($0) }
        length = UInt64(head.count)
    }

    /// Adds a compressed frame.
    ///
    /// - Parameters:
    ///   - size: bytes of its content.
    ///   - digest: of its content.
    public mutating func add(_ frame: UnsafeRawBufferPointer, size: Int, digest: Digest) throws -> PackFrame {
        let entry = PackFrame(offset: length, length: UInt32(frame.count), size: UInt32(size), digest: digest)
        try append(frame)
        length += UInt64(frame.count)
        frames.append(entry)
        return entry
    }

    /// Writes the index; the pack is complete.
    public mutating func finish() throws {
        let index = PackFormat.index(frames)
        try index.withUnsafeBytes { try append($0) }
        length += UInt64(index.count)
    }
}
