import Platform
import Repository
import Support
import Testing

@testable import Catalog

/// The backups' descriptions in the catalog.
@Suite struct BackupRowTests {
    @Test func `a backup's description is read once, and gone with the backup`() throws {
        let repository = try FixtureRepository(storing: [])
        let catalog = try repository.catalog()
        #expect(try catalog.backups().isEmpty)
        let key = repository.incarnation.backup("20261105T020000Z-full", "backup.json")
        try repository.store.create(key, bytes: Array("first".utf8))
        // A folder without backup.json is no backup.
        try repository.store.create(
            repository.incarnation.backup("20261106T020000Z-full", "manifest.sqlite.zst"), bytes: [1])
        #expect(try catalog.backups().map(\.label) == ["20261105T020000Z-full"])
        // Not that anybody may change it; it shows that it isn't read again.
        try Files.remove(repository.store.path(key))
        try repository.store.create(key, bytes: Array("second".utf8))
        #expect(try catalog.backups().map(\.json) == [Array("first".utf8)])
        try Files.remove(repository.store.path(key))
        #expect(try catalog.backups().isEmpty)
        try repository.store.create(key, bytes: Array("third".utf8))
        #expect(try catalog.backups().map(\.json) == [Array("third".utf8)])
    }
}
