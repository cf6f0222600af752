import CChecksum
import CXXHash
import Glibc
import Platform
import Support
import WAL

@testable import Archiving
@testable import Backups
@testable import DataDirectory
@testable import Repository

/// An object as a store writes it.
private func stored(_ write: (DirectoryStore, RepositoryKey) throws -> Void) throws -> [UInt8] {
    let scratch = try Scratch()
    let key = RepositoryKey("main/15-1/x")!
    try write(DirectoryStore(scratch.repository(of: "main/15-1")), key)
    return try Files.read(scratch.file("main/15-1/x"))
}

private func segment(_ content: [UInt8], summary: [UInt8]) throws -> [UInt8] {
    try stored { store, key in
        try store.createSegment(
            key, length: UInt64(content.count), presses: [try SegmentPress(level: 1)],
            read: { buffer, offset in
                let count = min(buffer.count, content.count - Int(offset))
                content.withUnsafeBytes {
                    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + count]))
                }
                return count
            },
            inspect: { _ in },
            head: {
                SegmentHead(
                    rawLength: UInt64(content.count), digest: $0, summary: summary, acceptedDiscontinuity: false)
            })
    }
}

private func pack(_ frames: [[UInt8]]) throws -> [UInt8] {
    try stored { store, key in
        var compressor = try Compressor(level: 1)
        var writer = try PackWriter(into: store.begin(key))
        for frame in frames {
            var room = [UInt8](repeating: 0, count: Compressor.bound(frame.count))
            let length = try room.withUnsafeMutableBytes { room in
                try frame.withUnsafeBytes { try compressor.compress($0, into: room) }
            }
            _ = try room.withUnsafeBytes {
                try writer.add(
                    UnsafeRawBufferPointer(rebasing: $0[..<length]), size: frame.count,
                    digest: frame.withUnsafeBytes { Digest(of: $0) })
            }
        }
        try writer.finish()
    }
}

private func put(_ value: UInt64, _ bytes: inout [UInt8], at offset: Int) {
    for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
}

private func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
}

private let summaries: @Sendable () throws -> [[UInt8]] = {
    try ["pg15", "pg18"].flatMap { folder in
        try WALFixture.segments(folder).prefix(3).map { name in
            let bytes = try WALFixture.unpacked(folder, name)
            var scanner = SegmentScanner(name: SegmentName(name), length: UInt64(bytes.count))
            try scanner.feed(bytes.span.bytes)
            return try scanner.finish().encode()
        }
    }
}

extension HostileFormat {
    static let binary: [HostileFormat] = [
        HostileFormat("a summary", isText: false, seeds: summaries).reading { bytes in
            let summary = try SegmentSummary(decoding: bytes)
            _ = try SegmentSummary(decoding: summary.encode())
            _ = try BlockMap(decoding: summary.blockMap, maximumBlocks: 1 << 16).entries()
        },
        HostileFormat(
            "a stored segment", isText: false,
            seeds: {
                let content = (0..<9000).map { UInt8(truncatingIfNeeded: $0 / 7) }
                return [try segment(content, summary: try summaries()[0]), try segment([], summary: [])]
            },
            mend: { bytes in
                // The head's checksum is at its end.
                guard bytes.count >= 64 else { return }
                let length = Int(bytes.littleEndian(UInt32.self, at: 4)) + 8
                guard (64...bytes.count).contains(length) else { return }
                put(checksum(bytes[8..<length - 8]), &bytes, at: length - 8)
            }
        ).reading { bytes in
            let object = try StoredSegment(ObjectInMemory(bytes))
            _ = try? object.bytes(limit: 1 << 20)
            _ = try? object.extractConcurrently { _ in }
        },
        HostileFormat(
            "a pack", isText: false,
            seeds: { [try pack([Array("first".utf8), [UInt8](repeating: 3, count: 20_000)])] },
            mend: { bytes in
                guard bytes.count > PackFormat.headLength + PackFormat.footerLength + 8 else { return }
                let footer = bytes.count - PackFormat.footerLength
                let length = 8 + Int(bytes.littleEndian(UInt32.self, at: footer + 8)) * PackFormat.entryLength
                guard length <= footer else { return }
                put(checksum(bytes[footer - length + 8..<footer]), &bytes, at: footer)
            }
        ).reading { bytes in
            let object = ObjectInMemory(bytes)
            _ = try framesOfUnfinishedPack(object, largest: 64 << 10)
            let pack = try StoredPack(object)
            let frames = try pack.index()
            pack.readAhead(frames)
            var decompressor = try Decompressor()
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
            let content = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
            defer {
                buffer.deallocate()
                content.deallocate()
            }
            for frame in frames.prefix(20) {
                _ = try? pack.extract(frame, with: &decompressor, buffer: buffer, content: content)
            }
        },
        HostileFormat(
            "a list of runs", isText: false,
            seeds: {
                [
                    [2, 11, 2], [9, 5, 6, 2, 5, 3, 0, 2, 1, 1], [2, 0xD8, 0x04, 0x90, 0x03, 0x82, 0x01],
                    RunList.encode(
                        (0..<Int64(300)).map {
                            StoredRun(
                                offset: $0 * 8192, length: 8192, frame: $0 % 7, frameOffset: $0 % 7 == 0 ? 0 : $0 * 8192
                            )
                        }),
                ]
            }
        ).reading { bytes in
            var decoder = try RunList.Decoder(bytes)
            var runs: [StoredRun] = []
            while let run = try decoder.next() { runs.append(run) }
            _ = RunList.encode(runs)
        },
        HostileFormat(
            "a control file", isText: false,
            seeds: {
                try [13, 15, 18].map {
                    let path =
                        Files.parent(Files.parent(#filePath)) + "/DataDirectoryTests/Fixtures/pg_control-\($0).zst"
                    return try unpackedFile(path)
                }
            },
            mend: { bytes in
                guard bytes.count >= 296 else { return }
                let offset = bytes.littleEndian(UInt32.self, at: 8) >= 1800 ? 292 : 288
                let sum = bytes.withUnsafeBytes { ~tidemark_crc32c(0xFFFF_FFFF, $0.baseAddress!, offset) }
                for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
            }
        ).reading { bytes in
            let control = try ControlFile(parsing: bytes, path: "pg_control")
            _ = control.blocksPerRelationFile
            _ = SegmentName(timeline: control.timeline, containing: control.redo, segmentSize: control.segmentSize)
            _ = PageCheck(blocksPerFile: control.blocksPerRelationFile)
            _ = "\(control)"
        },
        packed("gzip", .gzip, ["/usr/bin/gzip", "-c"]), packed("zstd", .zstd, ["/usr/bin/zstd", "-qc"]),
        packed("lz4", .lz4, ["/usr/bin/lz4", "-c"]),
    ]

    /// A file of an archive to be imported.
    private static func packed(_ name: String, _ packing: Packing, _ command: [String]) -> HostileFormat {
        var format = HostileFormat(
            "an archive's file packed with \(name)", isText: false,
            seeds: {
                let scratch = try Scratch()
                try createDurably(scratch.file("x"), bytes: (0..<3000).map { UInt8(truncatingIfNeeded: $0 / 5) })
                _ = try run(
                    "/bin/sh",
                    ["-c", "\(command.joined(separator: " ")) \"$1\" >\"$1.packed\"", "sh", scratch.file("x")])
                return [try Files.read(scratch.file("x.packed"))]
            }
        ).reading { bytes in
            let scratch = try Scratch()
            try bytes.withUnsafeBytes {
                try Descriptor(open: scratch.file("in"), O_WRONLY | O_CREAT).write($0, path: scratch.file("in"))
            }
            try packing.unpack(scratch.file("in"), to: scratch.file("out"))
        }
        format.isSealed = true
        return format
    }
}
