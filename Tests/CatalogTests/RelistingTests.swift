import Platform
import Repository
import Support
import Testing
import WAL

@testable import Catalog

/// What a store without change marks is asked for.
@Suite struct RelistingTests {
    private let repository: FixtureRepository
    private let counting = Counting()
    private let catalog: Catalog
    private static let folders = 40

    init() throws {
        repository = try FixtureRepository(storing: [])
        let store = InterceptedStore(repository.store, counting, hidesChanges: true)
        catalog = try Catalog(
            at: repository.scratch.file("catalog"), archive: ClusterArchive(repository.incarnation, in: store)
        ) { _ in }
        for number in 1...Self.folders { try add(number) }
        #expect(try synchronize().changes.read == Self.folders)
    }

    /// Stores a segment, unread, in one of the folders.
    private func add(_ folder: Int, _ segment: String = "00000001") throws {
        try repository.put([UInt8](repeating: 0, count: 1 << 20), name(folder, segment), summary: [])
    }

    private func name(_ folder: Int, _ segment: String = "00000001") -> String {
        "00000001000000" + (folder < 16 ? "0" : "") + String(folder, radix: 16, uppercase: true) + segment
    }

    /// The changes, and how many folders were listed for them.
    private func synchronize(isExact: Bool = false) throws -> (changes: CatalogChanges, listings: Int) {
        let before = counting.calls[.list] ?? 0
        let changes = try catalog.synchronize(jobs: 1, isExact: isExact)
        return (changes, (counting.calls[.list] ?? 0) - before)
    }

    /// The folder of the histories and of the timelines, twice, that of the timeline, and its newest one.
    private static let unchanged = 5

    @Test func `where nothing is new, one folder of segments is listed`() throws {
        let (changes, listings) = try synchronize()
        #expect(changes == CatalogChanges())
        #expect(listings <= Self.unchanged)
        #expect(counting.calls[.mark] == nil)
        // Each is read once all the same.
        #expect(try synchronize(isExact: true).changes == CatalogChanges())
    }

    @Test func `the next segment, a new folder and a folder that is gone are found at once`() throws {
        try add(Self.folders, "00000002")
        #expect(try synchronize().changes.read == 1)
        try add(Self.folders + 1)
        #expect(try synchronize().changes.read == 1)
        let key = try repository.incarnation.segment(#require(SegmentName(name(3))))
        try repository.store.remove(key)
        try Files.removeTree(repository.store.path(key.folder))
        let (changes, listings) = try synchronize()
        #expect(changes.gone == 1)
        // Once to find it out, once while no other process can change the catalog.
        #expect(listings <= 2 * Self.unchanged)
        #expect(try synchronize().listings <= Self.unchanged)
    }

    @Test func `a change in an old folder is found in time, some folders at a question`() throws {
        try add(20, "00000002")
        try repository.store.remove(repository.incarnation.segment(#require(SegmentName(name(7)))))
        #expect(try synchronize().changes == CatalogChanges())
        catalog.relisting = Relisting(interval: 0, most: 8)
        var (read, gone) = (0, 0)
        for _ in 0..<Self.folders / 8 {
            let (changes, listings) = try synchronize()
            (read, gone) = (read + changes.read, gone + changes.gone)
            #expect(listings <= 2 * (Self.unchanged + 8))
        }
        #expect((read, gone) == (1, 1))
    }

    @Test func `a question that must be exact finds every change at once`() throws {
        try add(7, "00000002")
        #expect(try synchronize(isExact: true).changes.read == 1)
        try add(20, "00000002")
        try repository.store.remove(repository.incarnation.segment(#require(SegmentName(name(7)))))
        let (changes, listings) = try synchronize(isExact: true)
        #expect(changes.read == 1 && changes.gone == 1)
        #expect(listings >= Self.folders)
        #expect(try synchronize().listings <= Self.unchanged)
    }

    @Test func `a segment that could not be read is looked for again`() throws {
        let key = try repository.incarnation.segment(#require(SegmentName(name(5))))
        try Files.rename(repository.store.path(key), to: repository.scratch.file("aside"))
        try repository.store.create(key, bytes: Array("no segment".utf8))
        #expect(try synchronize(isExact: true).changes.read == 1)
        try repository.store.remove(key)
        try Files.rename(repository.scratch.file("aside"), to: repository.store.path(key))
        #expect(try synchronize().changes.read == 1)
        #expect(try synchronize().listings <= Self.unchanged)
    }
}
