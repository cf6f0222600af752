import Platform

/// An object of a store that answers every request late (`StoredObject.requestLength`), for a reader that needs all of
/// it: few large pieces are requested, whatever is read from it. An object that fits into one piece is requested as a
/// whole.
///
/// `@unchecked Sendable`: the buffer belongs to the thread that has `held`.
final class LargeReads: StoredObject, @unchecked Sendable {
    private let base: any StoredObject
    private let room: UnsafeMutableRawBufferPointer
    /// The place in the object of what `room` has.
    private let held = Monitor<Range<Int64>>(0..<0)

    /// - Parameter length: of a piece, in bytes.
    init(_ base: any StoredObject, pieces length: Int) {
        self.base = base
        room = .allocate(byteCount: Int(max(1, min(base.size, Int64(length)))), alignment: 4096)
    }

    deinit { room.deallocate() }

    var key: RepositoryKey { base.key }
    var size: Int64 { base.size }

    /// A thread that needs the next piece lets the others wait: they probably need the same one.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        let end = min(size, offset + Int64(buffer.count))
        guard offset >= 0, offset < end else { return 0 }
        return try held.update { held in
            let isSmall = size <= Int64(room.count)
            if !(held.lowerBound <= offset && end <= held.upperBound) {
                // The end of a large object has its table, which is read first; what comes before the piece is what
                // another thread has skipped. Neither is worth a piece.
                guard isSmall || (end > held.upperBound && end < size && end - offset <= room.count) else {
                    return try base.read(into: buffer, at: offset)
                }
                let start = isSmall ? 0 : offset
                held = 0..<0
                held = start..<(start + Int64(try base.read(into: room, at: start)))
            }
            let found = UnsafeRawBufferPointer(room)[
                Int(offset - held.lowerBound)..<Int(max(offset, min(end, held.upperBound)) - held.lowerBound)]
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: found))
            return found.count
        }
    }
}

extension StoredObject {
    /// The same object, for a reader that needs all of it.
    var forReadingAll: any StoredObject { requestLength.map { LargeReads(self, pieces: $0) } ?? self }
}
