import CXXHash

/// The parts of a file that are compressed separately, so that two threads can share a segment when it is stored and
/// when it is fetched. Larger parts compress by some hundredths of a percent to a few percent better.
enum SegmentFrame {
    /// Bytes of content; the last frame of a file has what is left.
    static let length = 2 << 20

    /// An empty file has one empty frame.
    static func count(_ fileLength: UInt64) -> Int { max(1, Int((fileLength + UInt64(length) - 1) / UInt64(length))) }

    static func range(_ index: Int, of fileLength: UInt64) -> Range<UInt64> {
        let start = UInt64(index) * UInt64(length)
        return start..<min(start + UInt64(length), fileLength)
    }

    /// A quick sum over one frame's content.
    static func sum(_ bytes: UnsafeRawBufferPointer) -> UInt64 { XXH3_64bits(bytes.baseAddress, bytes.count) }
}

/// Compresses files for `createSegment` and keeps its memory (about 4 MiB at level 3) from one to the next; for one
/// thread at a time.
///
/// `@unchecked Sendable`: `createSegment` gives each press to one thread.
public final class SegmentPress: @unchecked Sendable {
    private var compressor: Compressor
    private let content = UnsafeMutableRawBufferPointer.allocate(byteCount: SegmentFrame.length, alignment: 4096)

    /// - Parameter level: of zstd.
    public init(level: Int) throws(CodecError) { compressor = try Compressor(level: level) }

    deinit { content.deallocate() }

    /// Reads frame `index` of a file and compresses it; returns also the sum of the bytes it read.
    func press(
        _ index: Int, of fileLength: UInt64, into frame: CompressedFrame,
        read: (UnsafeMutableRawBufferPointer, Int64) throws -> Int
    ) throws -> UInt64 {
        let range = SegmentFrame.range(index, of: fileLength)
        let count = try read(UnsafeMutableRawBufferPointer(rebasing: content[..<range.count]), Int64(range.lowerBound))
        guard count == range.count else { throw ContentChanged() }
        let bytes = UnsafeRawBufferPointer(rebasing: content[..<count])
        frame.count = try compressor.compress(bytes, into: frame.buffer)
        return SegmentFrame.sum(bytes)
    }
}

/// One compressed frame, in memory that is used again.
///
/// `@unchecked Sendable`: one thread has it at a time, handed over through the queue of frames.
final class CompressedFrame: @unchecked Sendable {
    // As large as the worst case; the kernel provides only what is written to.
    let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Compressor.bound(SegmentFrame.length), alignment: 4096)
    var count = 0
    deinit { buffer.deallocate() }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<count]) }
}
