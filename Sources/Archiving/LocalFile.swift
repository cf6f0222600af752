import Glibc
import Platform

/// A file that `archive-push` was given, open for reading by several threads.
final class LocalFile: Sendable {
    let path: String
    let status: FileStatus
    /// Bytes.
    var size: Int64 { status.size }
    private let descriptor: Descriptor

    /// Refuses what isn't an ordinary file without waiting: opening a FIFO would block until somebody writes to it.
    init(_ path: String) throws {
        let descriptor = try Descriptor(open: path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        let status = try descriptor.status(path: path)
        guard status.kind == .regular else {
            throw Problem(
                "cannot archive \"\(path)\"",
                detail: status.kind == .directory ? "It is a directory." : "It is not an ordinary file.")
        }
        self.status = status
        self.path = path
        self.descriptor = descriptor
    }

    /// Fills as much of `buffer` as the file has from `offset` (bytes) on.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        try descriptor.read(into: buffer, at: offset, path: path)
    }

    /// Hands the whole file to `take` in pieces of 128 KiB.
    func forEachPiece(_ take: (UnsafeRawBufferPointer) throws -> Void) throws {
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
        defer { window.deallocate() }
        var offset: Int64 = 0
        while offset < size {
            let count = try read(into: window, at: offset)
            guard count == min(Int64(window.count), size - offset) else {
                throw Problem("file \"\(path)\" became shorter while it was read")
            }
            try take(UnsafeRawBufferPointer(rebasing: window[..<count]))
            offset += Int64(count)
        }
    }

    /// The whole content of a small file.
    func bytes(limit: Int64) throws -> [UInt8] {
        guard size <= limit else {
            throw Problem(
                "file \"\(path)\" is too large", detail: "It has \(size) bytes; at most \(limit) were expected.")
        }
        var bytes: [UInt8] = []
        try forEachPiece { bytes += $0 }
        return bytes
    }
}
