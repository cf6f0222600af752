import Platform
import Support
import Testing
import WAL

@testable import Repository

/// What a later version of tidemark may write under the names of this one.
@Suite struct LaterFormatTests {
    private static let key = RepositoryKey("main/15-1/wal/00000001/0000000100000000/000000010000000000000001.zst")!

    private static func segment() throws -> [UInt8] {
        let store = MemoryStore()
        try store.createSegment(
            key, length: 8, presses: [SegmentPress(level: 3)],
            read: { buffer, _ in
                buffer.initializeMemory(as: UInt8.self, repeating: 1)
                return buffer.count
            }, inspect: { _ in }, head: { SegmentHead(rawLength: 8, digest: $0, summary: [1, 2, 3, 4, 5, 6, 7, 8]) })
        return try store.read(key)
    }

    private static func pack() throws -> [UInt8] {
        let store = MemoryStore()
        var writer = try PackWriter(into: store.begin(key))
        try writer.finish()
        return try store.read(key)
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let bytes: @Sendable () throws -> [UInt8]
        var isPack = false

        static func segment(_ name: String, _ values: [Int: UInt8]) -> Row {
            Row(testDescription: "a segment with \(name)") { laterArchivedFile(try LaterFormatTests.segment(), values) }
        }
        static func pack(_ name: String, _ offset: Int, _ value: UInt8) -> Row {
            Row(
                testDescription: "a pack with \(name)",
                bytes: { laterPack(try LaterFormatTests.pack(), [offset: value]) }, isPack: true)
        }
        static let all: [Row] = [
            .segment("another format", [16: 2]), .segment("another compression", [17: 2]),
            .segment("a cipher", [18: 1]), .segment("an unknown flag", [19: 4]),
            .segment("a value where 0 must be", [28: 1]),
            .segment("another format of its summary", [48: 2]),
            // The fields between those that every format keeps are other ones.
            .segment("a head of another layout", [16: 2, 20: 0xFF, 21: 0xFF, 24: 0xFF, 27: 0xFF]),
            .pack("another format", 16, 2), .pack("another compression", 17, 2), .pack("a cipher", 18, 1),
        ]
    }

    @Test(arguments: Row.all) func `a head of a later format says which version wrote it`(_ row: Row) throws {
        func open(_ bytes: [UInt8]) throws {
            let store = MemoryStore()
            try store.create(Self.key, bytes: bytes)
            if row.isPack {
                _ = try StoredPack(Self.key, in: store)
            } else {
                _ = try StoredSegment(Self.key, in: store).summary()
            }
        }
        let bytes = try row.bytes()
        let refusal = UnsupportedFormat(key: Self.key, version: laterVersion)
        #expect(throws: refusal) { try open(bytes) }
        #expect(refusal.message.contains(" was written by tidemark 9.1.7 "))
        #expect(refusal.hint == "Use tidemark 9.1.7 or later.")
        // The same bytes without the right checksum are damage.
        for place in (row.isPack ? 8..<24 : 8..<56) {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[place] ^= 1 << UInt8(bit)
                #expect(throws: ObjectDamaged.self, "bit \(bit) of byte \(place)") { try open(flipped) }
            }
        }
    }

    @Test func `heads name this version`() throws {
        #expect(WriterVersion.current.description == tidemarkVersion)
        #expect(try Array(Self.segment()[29..<32]) == WriterVersion.current.bytes)
        #expect(try Array(Self.pack()[19..<22]) == WriterVersion.current.bytes)
    }

    @Test func `a segment whose summary a later version wrote is read without it`() throws {
        let store = MemoryStore()
        let name = "pg15"
        let first = try #require(try WALFixture.segments(name).first)
        let content = try WALFixture.unpacked(name, first)
        let key = Self.key.folder.appending(first + ".zst")
        try store.createSegment(
            key, length: UInt64(content.count), presses: [SegmentPress(level: 3)],
            read: { buffer, offset in
                let part = content[Int(offset)...].prefix(buffer.count)
                buffer.copyBytes(from: part)
                return part.count
            }, inspect: { _ in },
            head: { SegmentHead(rawLength: UInt64(content.count), digest: $0, summary: [1, 0]) })
        let later = laterArchivedFile(try store.read(key), [48: 2])
        try store.remove(key)
        try store.create(key, bytes: later)
        let stored = try StoredSegment(key, in: store)
        #expect(throws: UnsupportedFormat.self) { try stored.summary() }
        #expect(try stored.summary(reading: SegmentName(first)!).facts.records > 0)
    }
}
