import CZstd

/// A zstd decompressor whose context is reused from one frame to the next; for one thread at a time.
/// It verifies the content checksums.
public struct Decompressor: ~Copyable {
    private let context: OpaquePointer

    public init() throws(CodecError) {
        guard let context = ZSTD_createDCtx() else {
            throw CodecError(reason: "out of memory", isCompressing: false, isOutOfMemory: true)
        }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Forgets an unfinished frame; to be called before the first `feed` of a frame.
    public mutating func begin() throws(CodecError) {
        _ = try checked(ZSTD_DCtx_reset(context, ZSTD_reset_session_only), compressing: false)
    }

    /// Decompresses `bytes`, the next piece of a frame, handing content to `write` in pieces no larger than `window`,
    /// which is overwritten each time.
    /// - Returns: whether the frame is complete, and how many of `bytes` belonged to it.
    public mutating func feed(
        _ bytes: UnsafeRawBufferPointer, window: UnsafeMutableRawBufferPointer,
        write: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> (complete: Bool, used: Int) {
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        while true {
            var piece = ZSTD_outBuffer(dst: window.baseAddress, size: window.count, pos: 0)
            let pending = try checked(ZSTD_decompressStream(context, &piece, &input), compressing: false)
            if piece.pos > 0 { try write(UnsafeRawBufferPointer(rebasing: window[..<piece.pos])) }
            if pending == 0 { return (true, input.pos) }
            if input.pos == input.size && piece.pos < piece.size { return (false, input.pos) }
        }
    }

    /// Decompresses one whole frame into `content`; returns the content's length.
    public mutating func decompress(
        _ frame: UnsafeRawBufferPointer, into content: UnsafeMutableRawBufferPointer
    ) throws(CodecError) -> Int {
        try checked(
            ZSTD_decompressDCtx(context, content.baseAddress, content.count, frame.baseAddress, frame.count),
            compressing: false)
    }
}
