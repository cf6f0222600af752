/// Fills one pack.
public struct PackWriter: ~Copyable {
    private let object: any ObjectWriter
    private var stored = Digester()
    /// Bytes so far.
    public private(set) var length: UInt64 = 0
    public private(set) var frames: [PackFrame] = []

    /// Writes the head.
    public init(into object: any ObjectWriter) throws {
        self.object = object
        try append(PackFormat.head())
    }

    /// The digest of the bytes written so far; of the whole object once it is finished.
    public var digest: Digest { stored.finish() }

    /// Adds a compressed frame.
    ///
    /// - Parameters:
    ///   - size: bytes of its content.
    ///   - digest: of its content.
    public mutating func add(_ frame: UnsafeRawBufferPointer, size: Int, digest: Digest) throws -> PackFrame {
        let entry = PackFrame(offset: length, length: UInt32(frame.count), size: UInt32(size), digest: digest)
        try append(frame)
        frames.append(entry)
        return entry
    }

    /// Writes the index, and commits the object.
    public mutating func finish() throws {
        try append(PackFormat.index(frames))
        try object.commit()
    }

    private mutating func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try append($0) } }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        try object.append(bytes)
        stored.update(bytes)
        length += UInt64(bytes.count)
    }
}
