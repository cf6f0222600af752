import CZstd
public import Platform

/// zstd refused something: a frame that isn't one, a checksum that doesn't fit, no memory.
public struct CodecError: Explained, Equatable {
    /// zstd's own words, lower case.
    public let reason: String
    public let isCompressing: Bool
    /// Whether it says nothing about the bytes.
    public var isOutOfMemory = false
    public var isOutOfReach: Bool { isOutOfMemory }
    public var message: String { "could not \(isCompressing ? "compress" : "decompress"): \(reason)" }
}

/// A zstd compressor whose context (about 4 MiB at level 3) is reused from one frame to the next; for one thread at a
/// time. Every frame it makes has a content checksum.
public struct Compressor: ~Copyable {
    private let context: OpaquePointer
    private let output: UnsafeMutableRawBufferPointer

    /// - Parameter level: zstd's levels, 1 to 22; negative ones are faster still. Level 3 searches as zstd's does, with
    ///   tables of half the size.
    public init(level: Int) throws(CodecError) {
        guard let context = ZSTD_createCCtx() else {
            throw CodecError(reason: "out of memory", isCompressing: true, isOutOfMemory: true)
        }
        do throws(CodecError) {
            _ = try checked(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level)))
            _ = try checked(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))
            if level == 3 {
                // A frame has 2 MiB at most. Tables of half the size take 13 % less CPU, for 0.7 % more bytes over a
                // corpus of WAL and 0.1 % over tables (Benchmarks/README.md).
                _ = try checked(ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, 16))
                _ = try checked(ZSTD_CCtx_setParameter(context, ZSTD_c_chainLog, 15))
            }
        } catch {
            ZSTD_freeCCtx(context)
            throw error
        }
        // Nothing may throw from here on: a noncopyable value with a deinit cannot be abandoned half made.
        self.context = context
        self.output = .allocate(byteCount: Compressor.pieceSize, alignment: 64)
    }

    deinit {
        ZSTD_freeCCtx(context)
        output.deallocate()
    }

    /// Starts a frame whose content will have exactly `size` bytes; the frame's header will say so.
    public mutating func begin(size: UInt64) throws(CodecError) {
        _ = try checked(ZSTD_CCtx_reset(context, ZSTD_reset_session_only))
        _ = try checked(ZSTD_CCtx_setPledgedSrcSize(context, size))
    }

    /// Compresses `bytes`, handing every filled piece (up to 128 KiB, valid during the call) to `write`.
    /// - Parameter last: ends the frame.
    public mutating func feed(
        _ bytes: UnsafeRawBufferPointer, last: Bool, write: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        var pending = 0
        repeat {
            var piece = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            pending = try checked(ZSTD_compressStream2(context, &piece, &input, last ? ZSTD_e_end : ZSTD_e_continue))
            if piece.pos > 0 { try write(UnsafeRawBufferPointer(rebasing: output[..<piece.pos])) }
        } while last ? pending != 0 : input.pos < input.size
    }

    /// Compresses `bytes` into one frame at the start of `frame`; returns the frame's length.
    /// - Parameter frame: at least `Compressor.bound(bytes.count)` bytes.
    public mutating func compress(
        _ bytes: UnsafeRawBufferPointer, into frame: UnsafeMutableRawBufferPointer
    ) throws(CodecError) -> Int {
        _ = try checked(ZSTD_CCtx_reset(context, ZSTD_reset_session_only))
        return try checked(ZSTD_compress2(context, frame.baseAddress, frame.count, bytes.baseAddress, bytes.count))
    }

    /// The most bytes `feed` hands over at a time: about 128 KiB.
    public static var pieceSize: Int { ZSTD_CStreamOutSize() }

    /// The most bytes a frame of `size` bytes of content can need.
    public static func bound(_ size: Int) -> Int { ZSTD_compressBound(size) }
}

func checked(_ code: Int, compressing: Bool = true) throws(CodecError) -> Int {
    guard ZSTD_isError(code) != 0 else { return code }
    let name = String(cString: ZSTD_getErrorName(code))
    throw CodecError(
        reason: name.prefix(1).lowercased() + name.dropFirst(), isCompressing: compressing,
        isOutOfMemory: ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
}
