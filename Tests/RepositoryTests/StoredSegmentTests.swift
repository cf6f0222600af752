import Glibc
import Platform
import Repository
import Support
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

@discardableResult
private func storeSegment(
    in store: any ObjectStore, summary: [UInt8] = Array("summary".utf8), concurrently: Bool = true
) throws -> SegmentHead {
    let head = SegmentHead(
        rawLength: UInt64(content.count), digest: Digest(of: content), summary: summary, acceptedDiscontinuity: true)
    try store.createSegment(
        key, rawLength: head.rawLength, level: 3, concurrently: concurrently,
        read: { buffer, offset in
            let count = min(buffer.count, content.count - Int(offset))
            content.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<(Int(offset) + count)]))
            }
            return count
        }, head: { head })
    return head
}

private func extract(_ store: any ObjectStore) throws -> [UInt8] {
    var decompressor = try Decompressor()
    var bytes: [UInt8] = []
    try StoredSegment(key, in: store).extract(with: &decompressor) { bytes += $0 }
    return bytes
}

@Suite struct StoredSegmentTests {
    @Test(arguments: [true, false])
    func `what was stored comes back, with its head`(concurrently: Bool) throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        let head = try storeSegment(in: store, concurrently: concurrently)
        #expect(try StoredSegment(key, in: store).head == head)
        #expect(try extract(store) == content)
    }

    @Test func `zstd restores a stored segment`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        try storeSegment(in: store)
        let path = scratch.file("segment")
        let finished = try run("/usr/bin/zstd", ["-q", "-d", store.path(key), "-o", path])
        #expect(finished.ending == .exited(0))
        #expect(try Files.read(path) == content)
    }

    @Test(arguments: [0, 1, 16 << 10, 200_000])
    func `summaries of any length fit`(length: Int) throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        let summary = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        try storeSegment(in: store, summary: summary)
        #expect(try StoredSegment(key, in: store).head.summary == summary)
        #expect(try extract(store) == content)
    }

    @Test(arguments: [true, false])
    func `a file that changes between the passes is not stored`(concurrently: Bool) throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        #expect(throws: ContentChanged.self) {
            try store.createSegment(
                key, rawLength: 8, level: 3, concurrently: concurrently,
                read: { buffer, _ in
                    buffer.initializeMemory(as: UInt8.self, repeating: 1)
                    return buffer.count
                }, head: { SegmentHead(rawLength: 8, digest: Digest(of: [0]), summary: []) })
        }
        #expect(try store.list(key.folder) == [])
    }

    @Test func `an error of either pass is reported and leaves nothing`() throws {
        struct Unreadable: Error {}
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        for concurrently in [true, false] {
            #expect(throws: Unreadable.self) {
                try store.createSegment(
                    key, rawLength: 8, level: 3, concurrently: concurrently, read: { _, _ in throw Unreadable() },
                    head: { SegmentHead(rawLength: 8, digest: Digest(of: [0]), summary: []) })
            }
            #expect(throws: Unreadable.self) {
                try store.createSegment(
                    key, rawLength: 8 << 20, level: 3, concurrently: concurrently,
                    read: { buffer, _ in buffer.count }, head: { throw Unreadable() })
            }
        }
        #expect(try store.list(key.folder) == [])
    }
}

/// One way to spoil a stored segment, and what must be said of it.
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
    Damage("the frame's checksum", says: "zstd") { bytes, _ in bytes[bytes.count - 1] ^= 1 },
    Damage("a missing last byte", says: "ends after") { bytes, _ in bytes.removeLast() },
    Damage("a missing half", says: "ends after") { bytes, _ in bytes.removeLast(bytes.count / 2) },
    Damage("only the head", says: "ends after") { bytes, head in bytes.removeLast(bytes.count - head) },
    Damage("half the head", says: "bytes") { bytes, head in bytes.removeLast(bytes.count - 30) },
    Damage("nothing left", says: "only 0 bytes") { bytes, _ in bytes = [] },
    Damage("something behind", says: "follows") { bytes, _ in bytes.append(0) },
]

@Suite struct DamagedSegmentTests {
    @Test(arguments: damages)
    func `damage is found, whatever it hits`(_ damage: Damage) throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        let head = try storeSegment(in: store)
        #expect(try extract(store) == content)
        var bytes = try Files.read(store.path(key))
        damage.apply(&bytes, head.encodedLength)
        try replaceDurably(store.path(key), bytes: bytes)
        let error = #expect(throws: ObjectDamaged.self) { try extract(store) }
        #expect(error?.key == key)
        #expect(error?.reason.contains(damage.says) == true, "\(error?.reason ?? "")")
    }

    @Test func `no flipped bit goes unnoticed`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        try storeSegment(in: store)
        let intact = try Files.read(store.path(key))
        for step in 0..<60 {
            var bytes = intact
            let place = step < 30 ? step * 3 : Int.random(in: 0..<bytes.count)
            bytes[place] ^= UInt8(1 << (step % 8))
            try replaceDurably(store.path(key), bytes: bytes)
            #expect(throws: ObjectDamaged.self, "byte \(place)") { try extract(store) }
        }
    }
}
