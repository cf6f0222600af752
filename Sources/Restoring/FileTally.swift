import Backups
import CChecksum
import Glibc
import Platform

/// How many bytes of every file have been restored, and their CRC-32C, combined from runs in any order on any thread.
/// Kept in an unlinked file, because there may be millions.
///
/// A CRC without its usual start value is linear: a file's is the exclusive or of its runs', each shifted by the bytes
/// that follow it. Zeros contribute nothing.
final class FileTally: Sendable {
    /// The contribution of a run.
    struct Part {
        /// The file's number.
        var file: Int
        var bytes: Int64
        var sum: UInt32 = 0
    }
    private struct Entry {
        var bytes: Int64 = 0
        var sum: UInt64 = 0
    }
    private struct State: Sendable {
        /// A range of entries in memory, and where it begins.
        var window = [Entry](repeating: Entry(), count: FileTally.windowCount)
        var start: Int?
        var isChanged = false
    }
    private static let windowCount = 4096

    private let state = Monitor(State())
    private let file: Descriptor
    /// The file's path.
    private let path: String

    init() throws {
        let path = temporaryDirectory()
        self.path = path
        var opened: Int32 = -1
        try inTemporaryDirectory { () throws(SystemError) in opened = try Descriptor(namelessIn: path).release() }
        file = Descriptor(adopting: opened)
    }

    /// - Parameter following: the file's bytes after the run.
    static func part(_ file: Int, _ bytes: UnsafeRawBufferPointer, following: Int64) -> Part {
        let sum = tidemark_crc32c_shift(tidemark_crc32c(0, bytes.baseAddress, bytes.count), UInt64(following))
        return Part(file: file, bytes: Int64(bytes.count), sum: sum)
    }

    func add(_ parts: [Part]) throws {
        try state.update { state in
            for part in parts {
                let place = try find(part.file, &state)
                // A hostile manifest may name the same bytes again and again; the sum is compared with the size.
                state.window[place].bytes &+= part.bytes
                state.window[place].sum ^= UInt64(part.sum)
                state.isChanged = true
            }
        }
    }

    /// The restored bytes of a file, and its usual CRC-32C if these are all.
    func total(of file: Int) throws -> (bytes: Int64, checksum: UInt32) {
        let entry = try state.update { state in state.window[try find(file, &state)] }
        let start = tidemark_crc32c_shift(0xFFFF_FFFF, UInt64(truncatingIfNeeded: entry.bytes))
        return (entry.bytes, ~(start ^ UInt32(truncatingIfNeeded: entry.sum)))
    }

    static func checksum(of bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { ~tidemark_crc32c(0xFFFF_FFFF, $0.baseAddress, $0.count) }
    }

    /// Moves the window to the file's entry, and returns its index. Files come nearly in the order of their numbers.
    private func find(_ number: Int, _ state: inout State) throws -> Int {
        let start = number / FileTally.windowCount * FileTally.windowCount
        if state.start != start {
            if state.isChanged, let old = state.start {
                try state.window.withUnsafeBytes { try file.write($0, at: FileTally.offset(old), path: path) }
            }
            state.isChanged = false
            state.start = nil
            let count = try state.window.withUnsafeMutableBytes {
                try file.read(into: $0, at: FileTally.offset(start), path: path)
            }
            for place in (count / MemoryLayout<Entry>.stride)..<FileTally.windowCount { state.window[place] = Entry() }
            state.start = start
        }
        return number - start
    }

    private static func offset(_ number: Int) -> Int64 { Int64(number * MemoryLayout<Entry>.stride) }
}
