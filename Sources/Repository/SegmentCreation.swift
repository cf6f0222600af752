public import Platform

extension ObjectStore {
    /// Stores a segment: its head, then its content compressed.
    ///
    /// `head` needs its own pass over the content and has to be known before anything can be written. With
    /// `concurrently` another thread compresses meanwhile, a few MiB ahead; without, compression follows.
    ///
    /// - Parameters:
    ///   - rawLength: the content's bytes.
    ///   - level: of zstd.
    ///   - read: fills a buffer from an offset on and says how much it filled; may run on another thread.
    ///   - head: inspects the content and describes it; what it throws prevents the object.
    /// - Throws: `ContentChanged` when the two passes saw different bytes; otherwise as `create`, `read` and `head`.
    public func createSegment(
        _ key: RepositoryKey, rawLength: UInt64, level: Int, concurrently: Bool,
        read: @escaping @Sendable (UnsafeMutableRawBufferPointer, Int64) throws -> Int,
        head: () throws -> SegmentHead
    ) throws {
        let compression = SegmentCompression(rawLength: rawLength, level: level, read: read)
        guard concurrently else {
            let head = try head()
            try create(key) { append in
                try head.encode().withUnsafeBytes { try append($0) }
                guard try compression.run(append) == head.digest else { throw ContentChanged() }
            }
            return
        }
        let belt = Monitor(Belt())
        let worker = try Worker {
            let outcome = Result { try compression.run { bytes in try put(bytes, on: belt) } }
            belt.update { $0.outcome = outcome }
        }
        defer { worker.join() }
        do {
            let head = try head()
            try create(key) { append in
                try head.encode().withUnsafeBytes { try append($0) }
                while let piece = try belt.wait(until: { try $0.take() }) {
                    try append(piece.filled)
                    belt.update { $0.free.append(piece) }
                }
                guard try belt.wait(until: { .ready($0.outcome) })?.get() == head.digest else { throw ContentChanged() }
            }
        } catch {
            belt.update { $0.isAbandoned = true }
            throw error
        }
    }
}

extension ObjectStore {
    /// Stores a small file from PostgreSQL's archiver (a timeline history, a backup history) in a segment's format, so
    /// that it has the same checksums.
    public func createFile(_ key: RepositoryKey, bytes: [UInt8]) throws {
        try createSegment(
            key, rawLength: UInt64(bytes.count), level: 3, concurrently: false,
            read: { buffer, offset in
                bytes.withUnsafeBytes { all in
                    let rest = UnsafeRawBufferPointer(rebasing: all[Int(offset)...].prefix(buffer.count))
                    buffer.copyMemory(from: rest)
                    return rest.count
                }
            }, head: { SegmentHead(rawLength: UInt64(bytes.count), digest: Digest(of: bytes), summary: []) })
    }
}

/// A file changed while it was being stored.
public struct ContentChanged: Explained, Equatable {
    public init() {}
    public var message: String { "the file changed while it was read" }
    public var hint: String? { "Only a segment that the server has completed can be archived." }
}

/// Reads, hashes and compresses one segment.
private struct SegmentCompression: Sendable {
    let rawLength: UInt64
    let level: Int
    let read: @Sendable (UnsafeMutableRawBufferPointer, Int64) throws -> Int

    func run(_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Digest {
        var compressor = try Compressor(level: level)
        var digester = Digester()
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
        defer { window.deallocate() }
        try compressor.begin(size: rawLength)
        var offset: UInt64 = 0
        repeat {
            let wanted = Int(min(UInt64(window.count), rawLength - offset))
            let count = try read(UnsafeMutableRawBufferPointer(rebasing: window[..<wanted]), Int64(offset))
            guard count == wanted else { throw ContentChanged() }
            offset += UInt64(count)
            let bytes = UnsafeRawBufferPointer(rebasing: window[..<count])
            digester.update(bytes)
            try compressor.feed(bytes, last: offset == rawLength, write: append)
        } while offset < rawLength
        return digester.finish()
    }
}

/// The compressed pieces between the thread that makes them and the one that writes them.
private struct Belt {
    static let most = 64
    var full: [Piece] = []
    var free: [Piece] = []
    var made = 0
    var outcome: Result<Digest, any Error>?
    var isAbandoned = false

    /// The next piece; nil at the end.
    mutating func take() throws -> Answer<Piece?> {
        if !full.isEmpty { return .ready(full.removeFirst()) }
        guard let outcome else { return .notYet }
        _ = try outcome.get()
        return .ready(nil)
    }

    mutating func empty() throws -> Answer<Piece> {
        if isAbandoned { throw Abandoned() }
        if let piece = free.popLast() { return .ready(piece) }
        guard made < Belt.most else { return .notYet }
        made += 1
        return .ready(Piece())
    }
}

private struct Abandoned: Error {}

private func put(_ bytes: UnsafeRawBufferPointer, on belt: Monitor<Belt>) throws {
    let piece = try belt.wait(until: { try $0.empty() })
    piece.fill(with: bytes)
    belt.update { $0.full.append(piece) }
}

/// `@unchecked Sendable`: one thread has it at a time, handed over through the belt.
private final class Piece: @unchecked Sendable {
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Compressor.pieceSize, alignment: 64)
    private var count = 0
    deinit { buffer.deallocate() }

    var filled: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<count]) }
    func fill(with bytes: UnsafeRawBufferPointer) {
        buffer.copyMemory(from: bytes)
        count = bytes.count
    }
}
