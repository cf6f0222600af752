/// Fills one pack.
public struct PackWriter {
    private let object: any ObjectWriter
    /// Bytes so far.
    public private(set) var length: UInt64
    public private(set) var frames: [PackFrame] = []

    /// Writes the head.
    public init(into object: any ObjectWriter) throws {
        self.object = object
        let head = PackFormat.head()
        try head.withUnsafeBytes { try object.append($0) }
        length = UInt64(head.count)
    }

    /// Adds a compressed frame.
    ///
    /// - Parameters:
    ///   - size: bytes of its content.
    ///   - digest: of its content.
    public mutating func add(_ frame: UnsafeRawBufferPointer, size: Int, digest: Digest) throws -> PackFrame {
        let entry = PackFrame(offset: length, length: UInt32(frame.count), size: UInt32(size), digest: digest)
        try object.append(frame)
        length += UInt64(frame.count)
        frames.append(entry)
        return entry
    }

    /// Writes the index, and commits the object.
    public mutating func finish() throws {
        let index = PackFormat.index(frames)
        try index.withUnsafeBytes { try object.append($0) }
        length += UInt64(index.count)
        try object.commit()
    }
}
