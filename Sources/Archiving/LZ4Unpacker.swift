import CLZ4
import Platform

/// Unpacks files of lz4 or pg_receivewal: LZ4 frames, whose checksums are verified where present.
struct LZ4Unpacker: Unpacker, ~Copyable {
    private let context: OpaquePointer

    init() throws(Problem) {
        var context: OpaquePointer?
        guard LZ4F_isError(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))) == 0, let context else {
            throw Problem("liblz4 could not be initialised")
        }
        self.context = context
    }

    deinit { LZ4F_freeDecompressionContext(context) }

    mutating func begin() throws { LZ4F_resetDecompressionContext(context) }

    mutating func feed(
        _ bytes: UnsafeRawBufferPointer, window: UnsafeMutableRawBufferPointer,
        write: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> (complete: Bool, used: Int) {
        guard let start = bytes.baseAddress else { return (false, 0) }
        var at = 0
        while true {
            var used = bytes.count - at
            var produced = window.count
            let wanted = LZ4F_decompress(context, window.baseAddress, &produced, start + at, &used, nil)
            guard LZ4F_isError(wanted) == 0 else {
                throw Problem("could not decompress: \(String(cString: LZ4F_getErrorName(wanted)))")
            }
            at += used
            if produced > 0 { try write(UnsafeRawBufferPointer(rebasing: window[..<produced])) }
            if wanted == 0 { return (true, at) }
            if at == bytes.count, produced < window.count { return (false, at) }
        }
    }
}
