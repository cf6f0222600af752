import Archiving
import Monitoring
import Platform
import Support
import Testing
import WAL

/// The age of the oldest commit that only the server has, where another server archived under the same names.
@Suite struct WaitingSegmentTests {
    private struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        /// The server's segments, and its status files.
        let own: [String]
        var ready: [String] = []
        /// The names under which another server archived first.
        var foreign: [String] = []
        /// Where the server writes; nil when it is down.
        var position: UInt64?
        let first: String?
        var testDescription: String { name }
    }

    private static let (b, c) = ("00000001000000000000000C", "00000001000000000000000D")

    @Test(arguments: [
        Row(name: "all is archived", own: [b, c], first: nil),
        Row(name: "pushed ahead of the archiver", own: [b, c], ready: [b, c], first: nil),
        Row(name: "refused", own: [b, c], ready: [b, c], foreign: [b], first: b),
        Row(name: "the later one is refused", own: [b, c], ready: [b, c], foreign: [c], first: c),
        Row(name: "another server's, and the archiver doesn't have it", own: [b], foreign: [b], first: nil),
        Row(name: "the one that is written", own: [b], foreign: [b], position: 0xC0_0100, first: b),
        Row(
            name: "refused, behind the place where the server writes", own: [c], ready: [c], foreign: [c],
            position: 0xC0_0100, first: nil),
    ])
    private func `a segment that is refused counts as not archived`(_ row: Row) throws {
        let names = try WALFixture.segments("pg15")
        let repository = try FixtureRepository(storing: names.filter { !row.foreign.contains($0) })
        for name in row.foreign {
            // The same position, other records.
            var bytes = try WALFixture.unpacked("pg15", name)
            let summary = try FixtureRepository.scan(bytes, name).encode()
            bytes[0x3000] ^= 0xFF
            try repository.put(bytes, name, summary: summary)
        }
        let data = repository.scratch.file("data")
        try Files.makeDirectories(data + "/pg_wal/archive_status")
        for name in row.own { try createDurably("\(data)/pg_wal/\(name)", bytes: WALFixture.unpacked("pg15", name)) }
        for name in row.ready { try createDurably("\(data)/pg_wal/archive_status/\(name).ready", bytes: []) }

        let now = Moment(microseconds: Clock.now)
        let found = try WaitingObservation(
            dataDirectory: data, archived: SegmentName("000000010000000000000012"), timeline: TimelineID(1),
            position: row.position.map { LSN($0) }, segmentSize: 1 << 20, now: now
        ) { path, segment in
            try isArchived(path, segment, of: repository.archive)
        }
        let commit = try row.first.map { name in
            try #require(FixtureRepository.scan(WALFixture.unpacked("pg15", name), name).facts.firstCommit).time
        }
        let age = commit.map { Double(now.microseconds - $0.microseconds) / 1_000_000 } ?? 0
        #expect(try #require(found.oldestCommit) == age)
    }

    /// Nil when the server is down.
    @Test(arguments: [0x20, 0x258, 0x3000, 0x40000], [LSN(0xD0_0100), nil])
    func `WAL after damage in a finished segment is unknown, not absent`(_ offset: Int, _ position: LSN?) throws {
        let repository = try FixtureRepository(storing: ["00000001000000000000000B"])
        let data = repository.scratch.file("data")
        try Files.makeDirectories(data + "/pg_wal/archive_status")
        var bytes = try WALFixture.unpacked("pg15", Self.b)
        for index in offset..<offset + 8 { bytes[index] ^= 0xFF }
        try createDurably("\(data)/pg_wal/\(Self.b)", bytes: bytes)
        try createDurably("\(data)/pg_wal/archive_status/\(Self.b).ready", bytes: [])
        let found = try WaitingObservation(
            dataDirectory: data, archived: SegmentName("00000001000000000000000B"), timeline: TimelineID(1),
            position: position, segmentSize: 1 << 20, now: Moment(microseconds: Clock.now)
        ) { _, _ in false }
        // Either a commit before the damage has an age, or it isn't known.
        #expect(found.oldestCommit != 0)
    }
}
