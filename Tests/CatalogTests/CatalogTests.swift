import Glibc
import Platform
import Repository
import SQLite
import Support
import Testing
import WAL

@testable import Catalog

/// A repository with fixture segments, and a directory for catalogs.
final class FixtureRepository {
    let scratch: Scratch
    let store: DirectoryStore
    let incarnation: Incarnation
    var archive: ClusterArchive { ClusterArchive(incarnation, in: store) }
    let names: [String]
    private let folder: String

    /// - Parameter storing: which of the chain's segments; nil stores all, with the timeline's history.
    init(_ folder: String = "pg15", major: Int = 15, storing wanted: [String]? = nil) throws {
        scratch = try Scratch()
        self.folder = folder
        store = DirectoryStore(scratch.file("repository"))
        try Files.makeDirectories(store.location)
        names = try WALFixture.segments(folder)
        incarnation = Incarnation(
            cluster: "main", major: major,
            systemIdentifier: try FixtureRepository.scan(WALFixture.unpacked(folder, names[0]), names[0])
                .systemIdentifier)
        try store.create(incarnation.marker, incarnation.sealedMarker)
        for name in wanted ?? names { try add(name) }
        if wanted == nil, folder.count == 4 { try addHistory() }
    }

    func addHistory() throws {
        try store.createFile(
            incarnation.history(TimelineID(2)), bytes: WALFixture.file(folder, "00000002.history"))
    }

    func add(_ name: String) throws {
        let bytes = try WALFixture.unpacked(folder, name)
        let summary = try FixtureRepository.scan(bytes, name).encode()
        try put(bytes, name, summary: summary)
    }

    func put(_ bytes: [UInt8], _ name: String, summary: [UInt8]) throws {
        try store.createSegment(
            incarnation.segment(#require(SegmentName(name))), length: UInt64(bytes.count),
            presses: [SegmentPress(level: 1)],
            read: { buffer, offset in
                bytes.withUnsafeBytes { all in
                    let rest = UnsafeRawBufferPointer(rebasing: all[Int(offset)...].prefix(buffer.count))
                    buffer.copyMemory(from: rest)
                    return rest.count
                }
            }, inspect: { _ in },
            head: { SegmentHead(rawLength: UInt64(bytes.count), digest: $0, summary: summary) })
    }

    static func scan(_ bytes: [UInt8], _ name: String) throws -> SegmentSummary {
        var scanner = SegmentScanner(name: SegmentName(name), length: UInt64(bytes.count))
        try scanner.feed(bytes.span.bytes)
        return try scanner.finish()
    }

    func catalog(note: @escaping (String) -> Void = { _ in }) throws -> Catalog {
        try Catalog(at: scratch.file("catalog"), archive: archive, note: note)
    }
}

@Suite struct CatalogTests {
    /// The whole content of a catalog, for comparison.
    func contents(_ catalog: Catalog) throws -> [String] {
        var lines: [String] = []
        for table in ["segment", "event", "chunk", "run", "history"] {
            let statement = try catalog.database.prepare("SELECT * FROM \(table)")
            while try statement.step() {
                let columns =
                    table == "history" ? 2 : table == "run" ? 3 : table == "event" ? 7 : table == "chunk" ? 10 : 26
                lines.append(table + (0..<Int32(columns)).map { " " + statement.text($0) }.joined())
            }
        }
        return lines
    }

    @Test(arguments: [("pg15", 15), ("pg18", 18), ("pg13", 13), ("pg15-edges", 15), ("pg18-contrecord", 18)])
    func `a synced catalog has every segment joined`(folder: String, major: Int) throws {
        let repository = try FixtureRepository(folder, major: major)
        let catalog = try repository.catalog()
        #expect(try catalog.synchronize(jobs: 2).read == repository.names.count)
        #expect(try catalog.segments().count == repository.names.count)
        let set = try catalog.segments()
        for timeline in set.timelines {
            for run in set.runs(of: timeline) {
                let odd = try catalog.notable(of: timeline, run)
                // Only the very first segment has nothing before it.
                #expect(odd.map(\.name.description) == (timeline == TimelineID(1) ? [repository.names[0]] : []))
            }
        }
        // Nothing new, nothing read.
        #expect(try catalog.synchronize(jobs: 2) == CatalogChanges())
    }

    @Test func `whatever the order segments come in, the catalog ends up the same`() throws {
        let whole = try FixtureRepository()
        let expected = try whole.catalog()
        _ = try expected.synchronize(jobs: 2)
        for step in [3, 7] {
            let repository = try FixtureRepository(storing: [])
            let catalog = try repository.catalog()
            let count = repository.names.count
            for index in 0..<count {
                try repository.add(repository.names[index * step % count])
                if index == 5 { try repository.addHistory() }
                _ = try catalog.synchronize(jobs: 1)
            }
            let (found, wanted) = (try contents(catalog), try contents(expected))
            #expect(found.count == wanted.count)
            for (found, wanted) in zip(found, wanted) { #expect(found == wanted) }
        }
    }

    @Test func `removed segments leave the catalog`() throws {
        let repository = try FixtureRepository()
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let first = try #require(SegmentName(repository.names[0]))
        try repository.store.remove(repository.incarnation.segment(first))
        #expect(try catalog.synchronize(jobs: 1).gone == 1)
        #expect(try catalog.segment(first) == nil)
        #expect(try catalog.segments().count == repository.names.count - 1)
        // All of them, folder and all.
        for name in repository.names.dropFirst() {
            try repository.store.remove(repository.incarnation.segment(try #require(SegmentName(name))))
        }
        try Files.removeTree(repository.store.path(repository.incarnation.walFolder(TimelineID(1))))
        _ = try catalog.synchronize(jobs: 1)
        #expect(try catalog.segments().isEmpty)
    }

    @Test func `a damaged or deleted catalog is rebuilt, with a message`() throws {
        let repository = try FixtureRepository()
        let expected = try contents(current(repository.catalog()))
        let path = try repository.catalog().path
        let damages: [(String, () throws -> Void)] = [
            ("deleted", { try Files.removeIfPresent(path) }),
            ("no database", { try overwrite(path, at: 0, with: 100) }),
            ("every page but the first", { try overwrite(path, at: 4096, with: 200_000) }),
            ("cut short", { truncate(path, 5000) }),
        ]
        for (name, damage) in damages {
            for suffix in ["-wal", "-shm"] { try Files.removeIfPresent(path + suffix) }
            try damage()
            var notes: [String] = []
            let catalog = try repository.catalog { notes.append($0) }
            let found = try catalog.current(jobs: 1) { try contents($0) }
            #expect(found == expected, "\(name)")
            #expect(notes.count == (name == "deleted" ? 0 : 1), "\(name): \(notes)")
            #expect(notes.allSatisfy { $0.contains("rebuilt from the repository") })
        }
    }

    private func current(_ catalog: Catalog) throws -> Catalog {
        _ = try catalog.synchronize(jobs: 1)
        try catalog.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return catalog
    }

    @Test func `a catalog of another repository is not believed`() throws {
        let repository = try FixtureRepository()
        _ = try current(repository.catalog())
        let other = try Scratch()
        try Files.makeDirectories(other.file("repository"))
        var notes: [String] = []
        let catalog = try Catalog(
            at: repository.scratch.file("catalog"),
            archive: ClusterArchive(repository.incarnation, in: DirectoryStore(other.file("repository")))
        ) { notes.append($0) }
        #expect(try catalog.segments().isEmpty)
        #expect(notes.count == 1)
    }

    @Test func `several at once end up with one right catalog`() throws {
        let repository = try FixtureRepository()
        let other = try FixtureRepository()
        let expected = try contents(current(other.catalog()))
        let (archive, path) = (repository.archive, repository.scratch.file("catalog"))
        var results: [[String]] = []
        try mapInOrder(
            Array(0..<6), workers: 6, ahead: 6,
            transform: { _ in
                let catalog = try Catalog(at: path, archive: archive, note: { _ in })
                return try catalog.current(jobs: 1) { try CatalogTests().contents($0) }
            }, consume: { results.append($0) })
        #expect(results.count == 6)
        for result in results { #expect(result == expected) }
    }

    @Test func `a segment without a summary, or with a damaged head, is known as such`() throws {
        let names = try WALFixture.segments("pg15")
        let repository = try FixtureRepository(storing: [names[0], names[1], names[3]])
        let bytes = try WALFixture.unpacked("pg15", names[2])
        let unread = try #require(SegmentName(names[2]))
        try repository.put(bytes, names[2], summary: [])
        let broken = try #require(SegmentName(names[1]))
        try overwrite(repository.store.path(repository.incarnation.segment(broken)), at: 60, with: 20)
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        #expect(try catalog.segment(unread)?.state == .unread)
        #expect(try catalog.segment(broken)?.state == .damaged)
        let last = try #require(SegmentName(names[3]))
        #expect(try catalog.segment(last)?.state == .read)
        #expect(try catalog.segment(last)?.link == .unknowable)
    }

    @Test func `searches by time and transaction find the segment`() throws {
        let repository = try FixtureRepository()
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let all = try catalog.segments(of: TimelineID(1), 0...1000)
        let middle = all[1]
        let time = try #require(middle.earliestStop)
        #expect(
            try catalog.firstEnding(after: time, orAt: true, of: TimelineID(1), 0...1000) == middle.name
                || all[0].latestStop == time)
        let xid = try #require(all.compactMap(\.lowestXID).dropFirst().first)
        let found = try #require(try catalog.firstEnding(xid: xid, of: TimelineID(1), 0...1000))
        #expect(try catalog.segment(found).map { ($0.lowestXID ?? 0)...($0.highestXID ?? 0) }?.contains(xid) == true)
        #expect(
            try catalog.firstEnding(after: Moment(microseconds: .max), orAt: false, of: TimelineID(1), 0...1000) == nil)
        let totals = try catalog.totals(of: TimelineID(1), 0...5000)
        #expect(totals.segments == Int64(all.count))
        #expect(totals.commits == all.reduce(0) { $0 + $1.commits })
        #expect(
            try catalog.restorePoints(of: TimelineID(1), 0...1000).map(\.name) == [
                "fx_start", "before drop", "fx \"end\"",
            ])
    }

    @Test func `a path follows the history over the boundary`() throws {
        let repository = try FixtureRepository()
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let history = try #require(try catalog.histories()[TimelineID(2)])
        let path = Lineage(history, segmentSize: 1 << 20)
        let pieces = path.continuous(from: 9, in: try catalog.segments())
        #expect(pieces.map(\.numbers) == [9...15, 16...18])
        #expect(pieces.map(\.timeline) == [TimelineID(1), TimelineID(2)])
        #expect(path.file(16).description == "000000020000000000000010")
        #expect(path.continuous(from: 8, in: try catalog.segments()).isEmpty)
    }
}

private func overwrite(_ path: String, at offset: Int64, with count: Int) throws {
    let file = try Descriptor(open: path, O_RDWR)
    let size = try file.status(path: path).size
    guard offset < size else { return }
    let garbage = [UInt8](repeating: 0xA5, count: min(count, Int(size - offset)))
    _ = garbage.withUnsafeBytes { pwrite(file.raw, $0.baseAddress, $0.count, Int(offset)) }
}
