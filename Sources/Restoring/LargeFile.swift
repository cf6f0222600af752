import Glibc
import Platform

/// A file of many frames that a restore reads and writes, bypassing the page cache where possible.
final class LargeFile {
    let index: Int
    private let path: String
    private let descriptor: Descriptor
    /// A descriptor of the same file with O_DIRECT.
    private var direct: Descriptor?

    init(index: Int, place: Place, descriptor: consuming Descriptor, keepsPages: Bool) {
        self.index = index
        path = place.path
        self.descriptor = descriptor
        direct = keepsPages ? nil : Descriptor(direct: place)
    }

    /// Reads cached pages from the page cache, the rest past it.
    func read(into place: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        if isDirect(UnsafeRawBufferPointer(place), offset),
            let cached = descriptor.cachedBytes(at: offset, count: place.count), cached < place.count,
            let count = try past({ file throws(SystemError) in try file.read(into: place, at: offset, path: path) })
        {
            return count
        }
        return try descriptor.read(into: place, at: offset, path: path)
    }

    func reserve(at offset: Int64, count: Int) { descriptor.reserve(at: offset, count: count) }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try descriptor.writePages(bytes, at: offset, path: path)
        descriptor.startWriteback(at: offset, count: bytes.count)
    }

    /// Writes past the page cache. False when that isn't possible with these bytes, or at all; then nothing was
    /// written.
    func writePast(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws -> Bool {
        guard isDirect(bytes, offset) else { return false }
        return try past { file throws(SystemError) in try file.write(bytes, at: offset, path: path) } != nil
    }

    private func isDirect(_ bytes: UnsafeRawBufferPointer, _ offset: Int64) -> Bool {
        let alignment = Descriptor.directAlignment
        return direct != nil && Int(offset) % alignment == 0 && bytes.count % alignment == 0
            && Int(bitPattern: bytes.baseAddress) % alignment == 0
    }

    /// Nil, now and later, where the file system refuses O_DIRECT.
    private func past<Result>(
        _ body: (borrowing Descriptor) throws(SystemError) -> Result
    ) throws(SystemError) -> Result? {
        do throws(SystemError) { return try body(direct!) } catch {
            guard error.code == EINVAL else { throw error }
            direct = nil
            return nil
        }
    }
}
