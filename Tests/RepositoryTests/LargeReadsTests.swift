import Archiving
import Platform
import Support
import Testing
import WAL

@testable import Repository

/// What a remote store is asked for, to read a segment.
@Suite struct LargeReadsTests {
    private static let key = RepositoryKey("main/15-1/wal/00000001/0000000100000000/000000010000000000000001.zst")!

    /// A segment's worth of bytes, of which some don't compress.
    private static let content: [UInt8] = {
        var random = SeededGenerator(seed: 11)
        return (0..<(2 << 20)).flatMap { index in
            let word = random.next()
            return (0..<8).map {
                $0 < 3 ? UInt8(truncatingIfNeeded: word >> (8 * $0)) : UInt8(truncatingIfNeeded: index >> 9)
            }
        }
    }()

    private func store(_ content: [UInt8], in store: any ObjectStore) throws {
        try store.createSegment(
            Self.key, length: UInt64(content.count), presses: [SegmentPress(level: 1)],
            read: { buffer, offset in
                let part = content[Int(offset)...].prefix(buffer.count)
                buffer.copyBytes(from: part)
                return part.count
            }, inspect: { _ in },
            head: { SegmentHead(rawLength: UInt64(content.count), digest: $0, summary: Array("summary".utf8)) })
    }

    private func requests(_ memory: MemoryStore, of body: () throws -> Void) throws -> Int {
        let before = memory.requests
        try body()
        return memory.requests - before
    }

    @Test func `all of a segment is read with one request after the one that opens it`() throws {
        let memory = MemoryStore()
        try store(Self.content, in: memory)
        func read() throws -> [Int] {
            try [
                requests(memory) {
                    var bytes: [UInt8] = []
                    try StoredSegment(Self.key, in: memory).extractConcurrently { bytes += $0 }
                    #expect(bytes == Self.content)
                },
                requests(memory) {
                    var bytes: [UInt8] = []
                    var decompressor = try Decompressor()
                    try StoredSegment(Self.key, in: memory).extract(with: &decompressor) { bytes += $0 }
                    #expect(bytes == Self.content)
                },
                requests(memory) { try StoredSegment(Self.key, in: memory).prove() },
            ]
        }
        // A store that doesn't mind is asked for the table and for each frame.
        #expect(try read()[0] == 1 + 1 + 8)
        memory.set(requestLength: 16 << 20)
        #expect(try read() == [2, 2, 2])
    }

    @Test(arguments: [1 << 20, (1 << 20) + 1, 3 << 20]) func `an object that is larger than a piece is read in pieces`(
        _ length: Int
    ) throws {
        let memory = MemoryStore()
        try store(Self.content, in: memory)
        memory.set(requestLength: length)
        let size = try #require(try memory.size(of: Self.key))
        try #require(size > 4 << 20)
        for _ in 0..<3 {
            var bytes: [UInt8] = []
            let asked = try requests(memory) {
                try StoredSegment(Self.key, in: memory).extractConcurrently { bytes += $0 }
            }
            #expect(bytes == Self.content)
            // The head and the table, and twice as many pieces as fill it: threads may skip and come back.
            #expect(asked <= 2 + 2 * (Int(size) / length + 1), "\(size) bytes")
        }
    }

    @Test(arguments: [0, 1, 2 << 20]) func `a small file is read with no more`(_ length: Int) throws {
        let memory = MemoryStore()
        try store(Array(Self.content.prefix(length)), in: memory)
        memory.set(requestLength: 16 << 20)
        let before = memory.requests
        let bytes = try StoredSegment(Self.key, in: memory).bytes(limit: 16 << 20)
        #expect(bytes == Array(Self.content.prefix(length)))
        let asked = memory.requests - before
        #expect(asked <= 2)
    }

    @Test func `an object that is cut off is damaged, however it is read`() throws {
        let memory = MemoryStore()
        try store(Self.content, in: memory)
        let bytes = try memory.read(Self.key)
        for (number, cut) in [1, 100, bytes.count / 2, bytes.count - 200].enumerated() {
            let key = RepositoryKey("main/15-1/wal/cut\(number)")!
            try memory.create(key, bytes: bytes.dropLast(cut))
            for length in [16 << 20, 1 << 20] {
                memory.set(requestLength: length)
                #expect(throws: ObjectDamaged.self) {
                    try StoredSegment(key, in: memory).extractConcurrently { _ in }
                }
            }
        }
    }

    @Test func `archive-get of a segment takes three requests`() throws {
        let scratch = try Scratch()
        let memory = MemoryStore()
        let name = try WALFixture.segments("pg15")[0]
        let bytes = try WALFixture.unpacked("pg15", name)
        var scanner = SegmentScanner(name: SegmentName(name), length: UInt64(bytes.count))
        try scanner.feed(bytes.span.bytes)
        let incarnation = Incarnation(
            cluster: "main", major: 15, systemIdentifier: try scanner.finish().systemIdentifier)
        try memory.create(incarnation.marker, incarnation.sealedMarker)
        let path = scratch.file(name)
        try createDurably(path, bytes: bytes, mode: 0o600)
        let push = Push(into: Repository(memory), cluster: "main", dataDirectory: nil, level: 1) { _ in }
        #expect(try push(path) == .stored)
        memory.set(requestLength: 16 << 20)
        let counting = Counting()
        let archive = Repository(InterceptedStore(memory, counting)).archive(incarnation)
        // As a server's call, which knows its incarnation.
        let asked = try requests(memory) {
            let archive = try Repository(archive.store).archive(of: incarnation, named: "the data directory")
            var delivered: [UInt8] = []
            try archive.stored(#require(SegmentName(name))).extractConcurrently { delivered += $0 }
            #expect(delivered == bytes)
        }
        #expect(asked == 3)
        #expect(counting.calls.filter { ![.open, .read].contains($0.key) } == [:])
    }
}
