import CZlib
import Platform

/// Unpacks what gzip wrote, with zlib, which verifies gzip's checksums.
struct GzipUnpacker: Unpacker, ~Copyable {
    // zlib refuses a stream that has moved.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    init() throws(Problem) {
        stream.initialize(to: z_stream())
        // 16 more than the window's size selects gzip's format, not zlib's own.
        guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw Problem("zlib could not be initialised")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    mutating func begin() throws { inflateReset(stream) }

    mutating func feed(
        _ bytes: UnsafeRawBufferPointer, window: UnsafeMutableRawBufferPointer,
        write: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> (complete: Bool, used: Int) {
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(bytes.count)
        repeat {
            stream.pointee.next_out = window.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(window.count)
            let result = inflate(stream, Z_NO_FLUSH)
            guard [Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(result) else {
                throw Problem(
                    "could not decompress: \(stream.pointee.msg.map { String(cString: $0) } ?? "zlib's error \(result)")"
                )
            }
            let produced = window.count - Int(stream.pointee.avail_out)
            if produced > 0 { try write(UnsafeRawBufferPointer(rebasing: window[..<produced])) }
            if result == Z_STREAM_END { return (true, bytes.count - Int(stream.pointee.avail_in)) }
        } while stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0
        return (false, bytes.count)
    }
}
