import Archiving
import Platform
import Repository
import Support
import Testing
import WAL

@testable import Catalog

extension FixtureRepository {
    /// Stores another server's segment under a name: its last transaction is 999, and the next one in the fixture does
    /// not continue it.
    func addOther(_ name: String) throws {
        let bytes = try WALFixture.unpacked("pg15", name)
        var summary = try FixtureRepository.scan(bytes, name)
        summary.tail = nil
        summary.lastRecord = summary.lastRecord.map { $0 + 8 }
        summary.facts.lastCommit = summary.facts.lastCommit.map {
            TransactionMark(lsn: $0.lsn, end: $0.end, time: $0.time, xid: 999)
        }
        try put(bytes, name, summary: summary.encode())
    }

    /// A new, empty catalog.
    func freshCatalog() throws -> Catalog {
        let catalog = try Catalog(
            at: scratch.file("catalog-\(Clock.monotonic)"), archive: archive,
            note: { _ in })
        _ = try catalog.synchronize(jobs: 1)
        return catalog
    }
}

/// An object that takes the name of one that was put aside.
@Suite struct ReplacedObjectTests {
    private struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let aside: String
        /// Whether the catalog was synchronized in between.
        let isSeen: Bool
        /// The segments that don't continue another server's WAL then.
        let broken: [String]
        var history: String?
        var testDescription: String { name + (isSeen ? ", seen in between" : "") }
    }

    @Test(
        arguments: [false, true].flatMap { isSeen in
            [
                Row(
                    name: "a segment", aside: "00000001000000000000000D", isSeen: isSeen,
                    broken: ["00000001000000000000000E"]),
                Row(
                    name: "the last one before a timeline begins", aside: "00000001000000000000000F", isSeen: isSeen,
                    broken: ["000000020000000000000010"]),
                Row(
                    name: "a timeline", aside: "00000002.history", isSeen: isSeen,
                    broken: ["000000020000000000000011", "000000020000000000000012"],
                    history: "1\t0/1000100\tno recovery target specified\n"),
            ]
        })
    private func `the catalog learns that an object was replaced, and that it was put back`(_ row: Row) throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let before = try CatalogTests().contents(catalog)

        let aside = try PutAside(try #require(PutAside.Subject(row.aside)), of: repository.archive)
        let folder = try aside.carryOut(now: Moment(microseconds: Clock.now), reason: "stray")
        if row.isSeen { _ = try catalog.synchronize(jobs: 1) }
        for key in aside.keys {
            if let history = row.history, key == incarnation.history(TimelineID(2)) {
                try store.createFile(key, bytes: Array(history.utf8))
            } else {
                try repository.addOther(String(key.name.prefix(24)))
            }
        }
        _ = try catalog.synchronize(jobs: 1)
        let broken = try catalog.segments().timelines.flatMap { timeline in
            try catalog.segments(of: timeline, 0...100).filter { $0.link == .broken }
        }
        #expect(broken.map(\.name.description) == row.broken)
        #expect(
            try catalog.segments().timelines.contains { timeline in
                try catalog.segments(of: timeline, 0...100).contains { $0.lastCommit?.xid == 999 }
            })
        #expect(try CatalogTests().contents(catalog) == CatalogTests().contents(repository.freshCatalog()))
        #expect(try catalog.synchronize(jobs: 1) == CatalogChanges())

        for key in aside.keys {
            try store.remove(key)
            let rest = key.description.dropFirst(incarnation.folder.description.count + 1)
            try store.move(try #require(RepositoryKey("\(folder)/\(rest)")), to: key)
        }
        _ = try catalog.synchronize(jobs: 1)
        #expect(try CatalogTests().contents(catalog) == before)
    }

    /// The segments of a copy that took the same number stay in their places, before the beginning of the timeline.
    @Test func `records of another timeline of the same number are no events`() throws {
        let repository = try FixtureRepository()
        let (store, key) = (repository.store, repository.incarnation.history(TimelineID(2)))
        func switches() throws -> [TimelineID] {
            let search = try EventSearch(repository.freshCatalog(), names: { _ in [] })
            return try search.events(EventFilter(kinds: [.timelineSwitch])).map(\.timeline)
        }
        #expect(try switches() == [TimelineID(2)])
        let text = try #require(try repository.archive.history(TimelineID(2)))
        try store.remove(key)
        try store.createFile(key, bytes: Array("1\t0/11000100\tno recovery target specified\n".utf8))
        #expect(try switches() == [])
        try store.remove(key)
        try store.createFile(key, bytes: text)
        #expect(try switches() == [TimelineID(2)])
    }

    /// A copy's segments may be there before the history of the server that has taken the same number.
    @Test func `a timeline's links are checked again where its history says that it begins`() throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        let key = incarnation.history(TimelineID(2))
        try store.remove(key)
        let catalog = try repository.catalog()
        for point in [0x1100_0100, 0x1200_0100, 0x1100_0100, 0x1000_0100] {
            let text = "1\t\(LSN(UInt64(point)))\tno recovery target specified\n"
            _ = try catalog.synchronize(jobs: 1)
            #expect(try CatalogTests().contents(catalog) == CatalogTests().contents(repository.freshCatalog()))
            if try store.exists(key) { try store.remove(key) }
            try store.createFile(key, bytes: Array(text.utf8))
            _ = try catalog.synchronize(jobs: 1)
            let fresh = try repository.freshCatalog()
            #expect(try CatalogTests().contents(catalog) == CatalogTests().contents(fresh), "\(text)")
        }
    }
}
