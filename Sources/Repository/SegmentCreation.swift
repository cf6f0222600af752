public import Platform

extension ObjectStore {
    /// Stores a segment: its head, its content compressed in frames, the seal over its stored bytes, and the table of
    /// frames (docs/repository.md).
    ///
    /// The head must be known before anything can be written, and that takes a pass over the whole content. With two
    /// presses a second thread compresses meanwhile, and this one helps after the pass; with one press everything
    /// happens on this thread.
    ///
    /// - Parameters:
    ///   - replacement: when the key is a damaged object's.
    ///   - length: the content's bytes.
    ///   - read: fills a buffer from an offset on and says how much it filled; may run on two threads.
    ///   - inspect: sees the content once, in order, in pieces of 128 KiB; what it throws prevents the object.
    ///   - head: describes the inspected content, given its digest.
    ///   - written: is called when everything is written and only durability and the name are missing.
    ///   - turn: is called when only the name is missing; what it throws prevents the object.
    /// - Throws: `ContentChanged` when the content that was inspected isn't what was compressed; otherwise as `create`,
    ///   `read`, `inspect`, `head` and `turn` do.
    public func createSegment(
        _ key: RepositoryKey, replacing replacement: Replacement? = nil, length: UInt64, presses: [SegmentPress],
        read: @escaping @Sendable (UnsafeMutableRawBufferPointer, Int64) throws -> Int,
        inspect: (UnsafeRawBufferPointer) throws -> Void,
        head: (Digest) throws -> SegmentHead, written: () -> Void = {}, turn: () throws -> Void = {}
    ) throws {
        let line = Monitor(FrameQueue(count: SegmentFrame.count(length)))
        let compress: @Sendable (Int, CompressedFrame, SegmentPress) -> Void = { index, piece, press in
            let outcome = Result { (piece, try press.press(index, of: length, into: piece, read: read)) }
            line.update { $0.finished[index] = outcome }
        }
        let helper =
            presses.count < 2
            ? nil
            : try Worker {
                while let (index, piece) = line.wait(until: { $0.claim() }) { compress(index, piece, presses[1]) }
            }
        defer { helper?.join() }
        do {
            let (digest, sums) = try survey(length, read, inspect)
            let head = try head(digest)
            let object = try begin(key, replacing: replacement)
            var stored = Digester()
            func append(_ bytes: UnsafeRawBufferPointer) throws {
                stored.update(bytes)
                try object.append(bytes)
            }
            try head.encode().withUnsafeBytes(append)
            var table = FrameTable(start: head.encodedLength)
            for index in 0..<sums.count {
                while let (other, piece) = line.update({ $0.claim(before: index) }) {
                    compress(other, piece, presses[0])
                }
                let (piece, sum) = try line.wait(until: { $0.take(index) }).get()
                guard sum == sums[index] else { throw ContentChanged() }
                try append(piece.bytes)
                table.frames.append((piece.count, SegmentFrame.range(index, of: length).count))
                line.update { $0.free.append(piece) }
            }
            try ObjectSeal.head.withUnsafeBytes(append)
            let end = table.encode()
            end.withUnsafeBytes { stored.update($0) }
            try (stored.finish().bytes + end).withUnsafeBytes { try object.append($0) }
            written()
            try object.commit(turn: turn)
        } catch {
            line.update { $0.isAbandoned = true }
            throw error
        }
    }

    /// Stores a small file from PostgreSQL's archiver (a timeline history, a backup history) in a segment's format, so
    /// that it has the same checksums.
    public func createFile(_ key: RepositoryKey, replacing replacement: Replacement? = nil, bytes: [UInt8]) throws {
        let length = UInt64(bytes.count)
        try createSegment(
            key, replacing: replacement, length: length, presses: [try SegmentPress(level: 3)],
            read: { buffer, offset in
                bytes.withUnsafeBytes { all in
                    let rest = UnsafeRawBufferPointer(rebasing: all[Int(offset)...].prefix(buffer.count))
                    buffer.copyMemory(from: rest)
                    return rest.count
                }
            }, inspect: { _ in }, head: { SegmentHead(rawLength: length, digest: $0, summary: []) })
    }
}

/// A file changed while it was being stored.
public struct ContentChanged: Explained, Equatable {
    public init() {}
    public var message: String { "the file changed while it was read" }
    public var hint: String? { "Only a segment that the server has completed can be archived." }
}

/// Hands the content to `inspect`, and computes its digest and the sum of every frame.
private func survey(
    _ length: UInt64, _ read: (UnsafeMutableRawBufferPointer, Int64) throws -> Int,
    _ inspect: (UnsafeRawBufferPointer) throws -> Void
) throws -> (Digest, sums: [UInt64]) {
    let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
    defer { window.deallocate() }
    var whole = Digester()
    var part = FrameDigester()
    var sums: [UInt64] = []
    for index in 0..<SegmentFrame.count(length) {
        let range = SegmentFrame.range(index, of: length)
        part.reset()
        for offset in stride(from: range.lowerBound, to: range.upperBound, by: window.count) {
            let wanted = Int(min(UInt64(window.count), range.upperBound - offset))
            let count = try read(UnsafeMutableRawBufferPointer(rebasing: window[..<wanted]), Int64(offset))
            guard count == wanted else { throw ContentChanged() }
            let bytes = UnsafeRawBufferPointer(rebasing: window[..<count])
            whole.update(bytes)
            part.update(bytes)
            try inspect(bytes)
        }
        sums.append(part.finish())
    }
    return (whole.finish(), sums)
}

/// Where the frames of one file stand between the threads that compress them and the one that writes them.
private struct FrameQueue {
    /// No thread starts a frame that far ahead of the writer: memory stays bounded when writing is slow.
    static let ahead = 6
    let count: Int
    var started = 0
    var taken = 0
    var finished: [Int: Result<(CompressedFrame, UInt64), any Error>] = [:]
    var free: [CompressedFrame] = []
    var isAbandoned = false

    init(count: Int) { self.count = count }

    mutating func claim() -> Readiness<(Int, CompressedFrame)?> {
        if isAbandoned || started == count { return .ready(nil) }
        if started >= taken + FrameQueue.ahead { return .notYet }
        started += 1
        return .ready((started - 1, free.popLast() ?? CompressedFrame()))
    }

    /// A frame that the writer compresses while it waits for frame `index`; nil when it has nothing to do but wait for
    /// that. It must not wait for a frame to compress: nobody else makes room for one.
    mutating func claim(before index: Int) -> (Int, CompressedFrame)? {
        guard finished[index] == nil, case .ready(let claimed) = claim() else { return nil }
        return claimed
    }

    mutating func take(_ index: Int) -> Readiness<Result<(CompressedFrame, UInt64), any Error>> {
        guard let outcome = finished.removeValue(forKey: index) else { return .notYet }
        taken = index + 1
        return .ready(outcome)
    }
}
