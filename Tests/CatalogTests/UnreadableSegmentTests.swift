import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

@testable import Catalog

/// Segments that can't be read for a while: the catalog says so, and has all of them afterwards.
@Suite struct UnreadableSegmentTests {
    private struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let state: SegmentRow.State
        /// Damages an object; the original is kept under the second name.
        let spoil: @Sendable (_ path: String, _ kept: String) throws -> Void
        /// Whether the object comes back in the same file, which no listing shows.
        var isInPlace = false
    }

    private static let rows = [
        Row(testDescription: "behind a link that leads nowhere", state: .unavailable) { path, kept in
            try Files.rename(path, to: kept)
            #expect(symlink("/nowhere", path) == 0)
        },
        Row(
            testDescription: "damaged", state: .damaged,
            spoil: { path, kept in
                try createDurably(kept, bytes: Files.read(path))
                try flipByte(of: path, at: 60)
            }, isInPlace: true),
    ]

    @Test(arguments: rows) private func `each is read again, until it can be`(_ row: Row) throws {
        let whole = try FixtureRepository()
        let expected = try CatalogTests().contents(whole.freshCatalog())
        for name in whole.names {
            let repository = try FixtureRepository()
            let segment = try #require(SegmentName(name))
            let path = repository.store.path(repository.incarnation.segment(segment))
            let kept = repository.scratch.file("kept")
            try row.spoil(path, kept)
            let catalog = try repository.catalog()
            _ = try catalog.synchronize(jobs: 1)
            #expect(try catalog.segment(segment)?.state == row.state, "\(name)")
            #expect(try catalog.segments().count == repository.names.count, "\(name)")
            #expect(try catalog.breaks().map(\.segment) == [segment], "\(name)")
            if row.isInPlace {
                try flipByte(of: path, at: 60)
            } else {
                try Files.remove(path)
                try Files.rename(kept, to: path)
            }
            _ = try catalog.synchronize(jobs: 1)
            #expect(try catalog.segment(segment)?.state == .read, "\(name)")
            #expect(try catalog.breaks().isEmpty, "\(name)")
            _ = try catalog.synchronize(jobs: 1)
            #expect(try CatalogTests().contents(catalog) == expected, "\(name)")
        }
    }
}
