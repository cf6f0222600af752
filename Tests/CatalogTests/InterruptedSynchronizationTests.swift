import Platform
import Repository
import Support
import Testing
import WAL

@testable import Catalog

/// A synchronization that ends between two of its commits.
@Suite struct InterruptedSynchronizationTests {
    private struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Which segments the catalog has before, by their place in the fixture.
        let isKnown: @Sendable (Int) -> Bool
        var knowsHistory = false
        var batch = 1
        /// Whether something is committed on the way.
        var savesWork = false
    }

    private static let rows = [
        Row(testDescription: "the first one", isKnown: { _ in false }, savesWork: true),
        Row(testDescription: "the first one, in batches", isKnown: { _ in false }, batch: 4, savesWork: true),
        Row(
            testDescription: "new segments behind known ones", isKnown: { $0 < 5 }, knowsHistory: true, savesWork: true),
        Row(testDescription: "new segments between known ones", isKnown: { $0 % 3 == 1 }, knowsHistory: true),
        Row(testDescription: "new segments and a history", isKnown: { $0 % 4 != 2 }),
        Row(testDescription: "new segments before known ones", isKnown: { $0 > 7 }, knowsHistory: true),
        Row(testDescription: "a history alone", isKnown: { _ in true }),
    ]

    /// The file after each batch is what a process leaves that is killed there.
    @Test(arguments: rows)
    private func `a process killed between two batches leaves a catalog that the next one completes`(_ row: Row) throws
    {
        let names = try WALFixture.segments("pg15")
        let repository = try FixtureRepository(
            storing: names.enumerated().filter { row.isKnown($0.offset) }.map(\.element))
        if row.knowsHistory { try repository.addHistory() }
        let catalog = try repository.catalog()
        catalog.batchSize = row.batch
        _ = try catalog.synchronize(jobs: 1)
        for (index, name) in names.enumerated() where !row.isKnown(index) { try repository.add(name) }
        if !row.knowsHistory { try repository.addHistory() }

        var left: [String] = []
        var failure: (any Error)?
        _ = try catalog.synchronize(jobs: 1) { _, _ in
            do {
                let place = repository.scratch.file("left-\(left.count)")
                for suffix in ["", "-wal"] where try Files.exists(catalog.path + suffix) {
                    try createDurably(place + suffix, bytes: Files.read(catalog.path + suffix))
                }
                left.append(place)
            } catch { failure = error }
        }
        if let failure { throw failure }
        #expect(!left.isEmpty)
        let expected = try CatalogTests().contents(repository.freshCatalog())
        #expect(try CatalogTests().contents(catalog) == expected)
        var saved = 0
        let known = names.indices.count { row.isKnown($0) }
        for place in left {
            let next = try Catalog(at: place, archive: repository.archive, note: { Issue.record("\($0)") })
            let before = try next.segments().count
            #expect(before >= known && before <= names.count)
            if before > known, before < names.count { saved += 1 }
            _ = try next.synchronize(jobs: 1)
            #expect(try CatalogTests().contents(next) == expected, "\(place)")
        }
        if row.savesWork { #expect(saved > 0, "of \(left.count)") }
    }
}
