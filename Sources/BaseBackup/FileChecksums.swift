import CChecksum
import Platform

/// The CRC-32C of every restored file, put together from runs that come in any order on any thread.
///
/// A CRC without its customary start value is linear: a file's is the exclusive or of its runs', each moved on by the
/// bytes that follow it. Zeros contribute nothing.
final class FileChecksums: Sendable {
    private let sums: Monitor<[UInt32]>

    init(count: Int) { sums = Monitor(Array(repeating: 0, count: count)) }

    /// What a run contributes.
    ///
    /// - Parameter behind: the file's bytes after the run.
    static func part(_ bytes: UnsafeRawBufferPointer, behind: Int64) -> UInt32 {
        tidemark_crc32c_shift(tidemark_crc32c(0, bytes.baseAddress, bytes.count), UInt64(behind))
    }

    func add(_ parts: [(file: Int, part: UInt32)]) {
        sums.update { sums in for (file, part) in parts { sums[file] ^= part } }
    }

    /// The usual value of a file of this size, when all of it has been added.
    func finished(_ file: Int, size: Int64) -> UInt32 {
        ~(tidemark_crc32c_shift(0xFFFF_FFFF, UInt64(size)) ^ sums.update { $0[file] })
    }

    static func of(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { ~tidemark_crc32c(0xFFFF_FFFF, $0.baseAddress, $0.count) }
    }
}
