import Glibc
import Platform
import Repository

/// How the files of a plain archive may be compressed: by the ending of their names.
enum Packing: String, Sendable, CaseIterable {
    case gzip = ".gz"
    case zstd = ".zst"
    case lz4 = ".lz4"

    /// No segment is larger.
    private static let limit = 1 << 30

    /// Unpacks a file into a new one. Several compressed files in a row are unpacked as one, as the formats' own
    /// programs do.
    func unpack(_ path: String, to destination: String) throws {
        let target = try Descriptor(open: destination, O_WRONLY | O_CREAT | O_TRUNC)
        var written = 0
        try unpack(path) { piece in
            written += piece.count
            guard written <= Packing.limit else {
                throw Problem("its content is larger than the largest WAL segment, 1 GB")
            }
            try target.write(piece, path: destination)
        }
    }

    /// The first bytes of a file's content; fewer when it has no more.
    func start(of path: String, count: Int) throws -> [UInt8] {
        struct Enough: Error {}
        var bytes: [UInt8] = []
        do {
            try unpack(path) { piece in
                bytes += piece.prefix(count - bytes.count)
                if bytes.count == count { throw Enough() }
            }
        } catch is Enough {}
        return bytes
    }

    private func unpack(_ path: String, write: (UnsafeRawBufferPointer) throws -> Void) throws {
        switch self {
        case .gzip:
            var unpacker = try GzipUnpacker()
            try Packing.unpack(path, with: &unpacker, write: write)
        case .zstd:
            var unpacker = try Decompressor()
            try Packing.unpack(path, with: &unpacker, write: write)
        case .lz4:
            var unpacker = try LZ4Unpacker()
            try Packing.unpack(path, with: &unpacker, write: write)
        }
    }

    private static func unpack<U: Unpacker & ~Copyable>(
        _ path: String, with unpacker: inout U, write: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let source = try Descriptor(open: path, O_RDONLY)
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
        defer {
            input.deallocate()
            window.deallocate()
        }
        var isComplete = false
        try unpacker.begin()
        while true {
            let count = try source.read(into: input, path: path)
            if count == 0 { break }
            var rest = UnsafeRawBufferPointer(rebasing: input[..<count])
            while !rest.isEmpty {
                if isComplete { try unpacker.begin() }
                let step = try unpacker.feed(rest, window: window, write: write)
                isComplete = step.complete
                rest = UnsafeRawBufferPointer(rebasing: rest[step.used...])
            }
        }
        guard isComplete else { throw Problem("the compressed file ends too early") }
    }
}

/// A decompressor that is fed piece by piece. `Decompressor`, zstd's, is the model.
protocol Unpacker: ~Copyable {
    /// Called before the first `feed` of a frame.
    mutating func begin() throws
    /// Takes the next bytes of a frame and passes content to `write` in pieces no larger than `window`.
    /// - Returns: whether the frame is complete, and how many of `bytes` belonged to it.
    mutating func feed(
        _ bytes: UnsafeRawBufferPointer, window: UnsafeMutableRawBufferPointer,
        write: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> (complete: Bool, used: Int)
}

extension Decompressor: Unpacker {}
