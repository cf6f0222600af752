import Glibc
import Platform
import Repository
import Support
import Synchronization
import Testing
import WAL

/// A segment's worth of bytes that compress somewhat.
private let content: [UInt8] = {
    var state: UInt64 = 88_172_645_463_325_252
    return (0..<(1 << 20)).map { index in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return index % 5 < 3 ? UInt8(truncatingIfNeeded: index >> 8) : UInt8(truncatingIfNeeded: state)
    }
}()
private let key = RepositoryKey("main/15-1/wal/00000001/0000000100000000/000000010000000000000001.zst")!

private func presses(_ count: Int) throws -> [SegmentPress] { try (0..<count).map { _ in try SegmentPress(level: 3) } }

@discardableResult
private func storeSegment(
    in store: any ObjectStore, _ content: [UInt8] = content, summary: [UInt8] = Array("summary".utf8), threads: Int = 2
) throws -> SegmentHead {
    var head: SegmentHead?
    var inspected: [UInt8] = []
    try store.createSegment(
        key, length: UInt64(content.count), presses: presses(threads),
        read: { buffer, offset in
            let count = min(buffer.count, content.count - Int(offset))
            content.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<(Int(offset) + count)]))
            }
            return count
        }, inspect: { inspected += $0 },
        head: {
            let made = SegmentHead(
                rawLength: UInt64(content.count), digest: $0, summary: summary, acceptedDiscontinuity: true)
            head = made
            return made
        })
    #expect(inspected == content)
    return try #require(head)
}

private func extract(_ store: any ObjectStore) throws -> [UInt8] {
    var decompressor = try Decompressor()
    var bytes: [UInt8] = []
    try StoredSegment(key, in: store).extract(with: &decompressor) { bytes += $0 }
    return bytes
}

@Suite struct StoredSegmentTests {
    @Test(arguments: [1, 2], [0, 1, 2 << 20, (2 << 20) + 1, 7_340_033])
    func `a stored file is read back, with its head`(threads: Int, length: Int) throws {
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        var bytes: [UInt8] = []
        while bytes.count < length { bytes += content.prefix(length - bytes.count) }
        let head = try storeSegment(in: store, bytes, threads: threads)
        #expect(head.digest == Digest(of: bytes))
        #expect(try StoredSegment(key, in: store).head == head)
        #expect(try extract(store) == bytes)
        var concurrently: [UInt8] = []
        try StoredSegment(key, in: store).extractConcurrently { concurrently += $0 }
        #expect(concurrently == bytes)
    }

    @Test func `zstd restores a stored segment`() throws {
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        try storeSegment(in: store)
        try StoredSegment(key, in: store).prove()
        let path = scratch.file("segment")
        let finished = try run("/usr/bin/zstd", ["-q", "-d", store.path(key), "-o", path])
        #expect(finished.ending == .exited(0))
        #expect(try Files.read(path) == content)
    }

    @Test(arguments: [0, 1, 16 << 10, 200_000])
    func `summaries of any length fit`(length: Int) throws {
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        let summary = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        try storeSegment(in: store, summary: summary)
        #expect(try StoredSegment(key, in: store).head.summary == summary)
        #expect(try extract(store) == content)
    }

    @Test(arguments: [1, 2])
    func `a file that changes between the passes is not stored`(threads: Int) throws {
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        let calls = Atomic(0)
        #expect(throws: ContentChanged.self) {
            try store.createSegment(
                key, length: 8, presses: presses(threads),
                read: { buffer, _ in
                    let call = calls.wrappingAdd(1, ordering: .relaxed).newValue
                    buffer.initializeMemory(as: UInt8.self, repeating: UInt8(call))
                    return buffer.count
                }, inspect: { _ in }, head: { SegmentHead(rawLength: 8, digest: $0, summary: []) })
        }
        #expect(try store.list(key.folder) == [])
    }

    @Test(arguments: [1, 2])
    func `an error of either pass is reported and leaves nothing`(threads: Int) throws {
        struct Unreadable: Error {}
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        #expect(throws: Unreadable.self) {
            try store.createSegment(
                key, length: 8, presses: presses(threads), read: { _, _ in throw Unreadable() }, inspect: { _ in },
                head: { SegmentHead(rawLength: 8, digest: $0, summary: []) })
        }
        #expect(throws: Unreadable.self) {
            try store.createSegment(
                key, length: 8 << 20, presses: presses(threads), read: { buffer, _ in buffer.count },
                inspect: { _ in }, head: { _ in throw Unreadable() })
        }
        #expect(throws: Unreadable.self) {
            try store.createSegment(
                key, length: 8 << 20, presses: presses(threads), read: { buffer, _ in buffer.count },
                inspect: { _ in throw Unreadable() }, head: { SegmentHead(rawLength: 8, digest: $0, summary: []) })
        }
        #expect(try store.list(key.folder) == [])
    }

    @Test(arguments: [0, 3, 6])
    func `an error of the reader of a fetched segment ends the fetch`(pieces: Int) throws {
        struct Full: Error {}
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        try storeSegment(in: store, [UInt8](repeating: 1, count: 14 << 20))
        var seen = 0
        #expect(throws: Full.self) {
            try StoredSegment(key, in: store).extractConcurrently { _ in
                if seen == pieces { throw Full() }
                seen += 1
            }
        }
    }
}

/// One kind of damage to a stored segment, and the expected error.
struct Damage: Sendable, CustomTestStringConvertible {
    let name: String
    let says: String
    let apply: @Sendable (_ bytes: inout [UInt8], _ head: Int) -> Void
    init(_ name: String, says: String, _ apply: @escaping @Sendable (inout [UInt8], Int) -> Void) {
        self.name = name
        self.says = says
        self.apply = apply
    }
    var testDescription: String { name }
}

private let damages = [
    Damage("the frame's magic", says: "does not start") { bytes, _ in bytes[0] ^= 1 },
    Damage("the tag", says: "does not start") { bytes, _ in bytes[9] ^= 1 },
    Damage("the head's length", says: "impossible length") { bytes, _ in bytes[4] ^= 1 },
    Damage("a huge head's length", says: "impossible length") { bytes, _ in bytes[7] ^= 0x80 },
    Damage("the version", says: "checksum") { bytes, _ in bytes[16] ^= 2 },
    Damage("the codec", says: "checksum") { bytes, _ in bytes[17] ^= 2 },
    Damage("the flags", says: "checksum") { bytes, _ in bytes[19] ^= 1 },
    Damage("the summary's length", says: "impossible length") { bytes, _ in bytes[20] ^= 1 },
    Damage("the raw length", says: "checksum") { bytes, _ in bytes[24] ^= 1 },
    Damage("the digest", says: "checksum") { bytes, _ in bytes[40] ^= 1 },
    Damage("the summary", says: "checksum") { bytes, _ in bytes[50] ^= 1 },
    Damage("the head's checksum", says: "checksum") { bytes, head in bytes[head - 1] ^= 1 },
    Damage("the zstd magic", says: "zstd") { bytes, head in bytes[head] ^= 1 },
    Damage("the zstd frame header", says: "zstd") { bytes, head in bytes[head + 4] ^= 8 },
    Damage("the content size", says: "") { bytes, head in bytes[head + 6] ^= 1 },
    Damage("the payload", says: "zstd") { bytes, head in bytes[(head + bytes.count) / 2] ^= 1 },
    Damage("the frame's checksum", says: "zstd") { bytes, _ in bytes[bytes.count - 74] ^= 1 },
    Damage("the seal's magic", says: "table of frames") { bytes, _ in bytes[bytes.count - 73] ^= 1 },
    Damage("the seal's length", says: "table of frames") { bytes, _ in bytes[bytes.count - 69] ^= 1 },
    Damage("the seal's tag", says: "table of frames") { bytes, _ in bytes[bytes.count - 60] ^= 1 },
    Damage("the seal", says: "stored bytes") { bytes, _ in bytes[bytes.count - 50] ^= 1 },
    Damage("the table's magic", says: "table of frames") { bytes, _ in bytes[bytes.count - 41] ^= 1 },
    Damage("the table's length", says: "table of frames") { bytes, _ in bytes[bytes.count - 37] ^= 1 },
    Damage("the head's length in the table", says: "table of frames") { bytes, _ in bytes[bytes.count - 33] ^= 1 },
    Damage("a compressed length in the table", says: "table of frames") { bytes, _ in bytes[bytes.count - 25] ^= 1 },
    Damage("a content length in the table", says: "table of frames") { bytes, _ in bytes[bytes.count - 21] ^= 1 },
    Damage("the number of frames", says: "table of frames") { bytes, _ in bytes[bytes.count - 9] ^= 1 },
    Damage("the table's descriptor", says: "table of frames") { bytes, _ in bytes[bytes.count - 5] ^= 1 },
    Damage("the table's last magic", says: "table of frames") { bytes, _ in bytes[bytes.count - 1] ^= 1 },
    Damage("a missing last byte", says: "cut off") { bytes, _ in bytes.removeLast() },
    Damage("a missing half", says: "cut off") { bytes, _ in bytes.removeLast(bytes.count / 2) },
    Damage("only the head", says: "cut off") { bytes, head in bytes.removeLast(bytes.count - head) },
    Damage("half the head", says: "bytes") { bytes, head in bytes.removeLast(bytes.count - 30) },
    Damage("nothing left", says: "only 0 bytes") { bytes, _ in bytes = [] },
    Damage("something behind", says: "cut off") { bytes, _ in bytes.append(0) },
]

@Suite struct DamagedSegmentTests {
    @Test(arguments: damages)
    func `damage is found, whatever it hits`(_ damage: Damage) throws {
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        let head = try storeSegment(in: store)
        #expect(try extract(store) == content)
        var bytes = try Files.read(store.path(key))
        damage.apply(&bytes, head.encodedLength)
        try replaceDurably(store.path(key), bytes: bytes)
        let error = #expect(throws: ObjectDamaged.self) { try extract(store) }
        #expect(error?.key == key)
        #expect(error?.reason.contains(damage.says) == true, "\(error?.reason ?? "")")
        #expect(throws: ObjectDamaged.self) { try StoredSegment(key, in: store).prove() }
    }

    @Test func `a change to any byte is noticed, even where the content is whole`() throws {
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        let head = try storeSegment(in: store, [UInt8](repeating: 7, count: 5 << 20))
        let intact = try Files.read(store.path(key))
        try StoredSegment(key, in: store).prove()
        // The object is small enough to try every byte; nothing is decompressed.
        for place in head.encodedLength..<intact.count {
            var bytes = intact
            bytes[place] ^= 0x20
            try replaceDurably(store.path(key), bytes: bytes)
            #expect(throws: ObjectDamaged.self, "byte \(place)") { try StoredSegment(key, in: store).prove() }
        }
    }

    @Test func `no flipped bit goes unnoticed`() throws {
        let scratch = try Scratch()
        let store = try DirectoryStore(scratch.repository(of: "main/15-1"))
        try storeSegment(in: store)
        let intact = try Files.read(store.path(key))
        var random = SeededGenerator(seed: 3)
        for step in 0..<60 {
            var bytes = intact
            let place = step < 30 ? step * 3 : Int.random(in: 0..<bytes.count, using: &random)
            bytes[place] ^= UInt8(1 << (step % 8))
            try replaceDurably(store.path(key), bytes: bytes)
            #expect(throws: ObjectDamaged.self, "byte \(place)") { try extract(store) }
            #expect(throws: ObjectDamaged.self, "byte \(place)") { try StoredSegment(key, in: store).prove() }
        }
    }
}
