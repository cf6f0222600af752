import Archiving
import BackupVerification
import Backups
import Catalog
import Expiring
import Glibc
import Platform
import Recovery
import Repository
import Retention
import Support
import Testing
import WAL

/// WAL that was put aside and can't be read.
@Suite struct UnreadableAsideTests {
    struct Row: Sendable, CustomTestStringConvertible {
        /// Below `aside/`; `F` stands for the folder.
        let place: String
        /// The link in its place.
        let link: String
        /// Whether the folder can still be listed.
        var isListed = false
        var testDescription: String { "\(place) leads to \(link)" }
    }

    @Test(arguments: [
        Row(place: "F/record.json", link: "record.json", isListed: true),
        Row(place: "F/record.json", link: "/nowhere", isListed: true),
        Row(place: "F/wal", link: "wal"), Row(place: "F/wal", link: "/nowhere"), Row(place: "", link: "aside"),
    ])
    func `doesn't stop readers, but stops every removal`(_ row: Row) throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        for (label, segment) in [("old", "000000010000000000000008"), ("own", "00000001000000000000000A")] {
            try AsideBranchTests.store(label, segment, segment, in: repository)
        }
        let name = "00000001000000000000000A"
        let moment = Moment(microseconds: AsideBranchTests.taken.microseconds + 60_000_000)
        let folder = try PutAside(#require(PutAside.Subject(name)), of: repository.archive)
            .carryOut(now: moment, reason: "stray")
        var path = store.path(incarnation.asideFolder)
        if !row.place.isEmpty { path += "/" + row.place.replacing("F", with: folder.name) }
        try Files.rename(path, to: repository.scratch.file("away"))
        try #require(symlink(row.link, path) == 0)

        // According to the times it was put aside after the backup.
        let listing = try repository.archive.listBackups()
        #expect(listing.complete.map(\.label) == (row.isListed ? ["old"] : ["old", "own"]))
        #expect(listing.unlistedAside.count == (row.isListed ? 0 : 1))
        let archive = try RecoveryArchive(
            repository: Repository(store), cluster: "main", dataDirectory: repository.scratch.file("none"), jobs: 1)
        #expect(archive.remarks.contains { $0.contains("It is not known which WAL was put aside") } != row.isListed)
        let catalog = try repository.catalog()
        _ = try catalog.synchronize(jobs: 1)
        let causes = try catalog.report(backups: []).gaps.map(\.cause)
        #expect(causes == [row.isListed ? .putAside(name) : .missing])
        let backup = try repository.archive.backup("own")
        _ = try verifyBackup(backup, of: repository.archive, request: VerifyRequest(jobs: 1))

        try repository.put(
            WALFixture.unpacked("pg15", repository.names[0]), "000000010000000000000008", summary: [])
        var policy = RetentionPolicy()
        policy.keepFull = 1
        func decide() throws -> RetentionDecision {
            try retentionDecision(of: repository.archive, listing: listing, policy: policy, now: moment)
        }
        if row.isListed {
            #expect(try decide().kept.contains("old"))
        } else {
            #expect(throws: UnlistedAside.self) { try decide() }
        }
        try Files.remove(path)
        try Files.rename(repository.scratch.file("away"), to: path)
        #expect(try repository.archive.listBackups().aside.map(\.backup.label) == ["own"])
    }

    @Test(arguments: ["F/wal", ""])
    func `stops nobody who asks for a timeline that was put aside`(_ place: String) throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        try AsideBranchTests.store("old", "000000010000000000000008", "000000010000000000000008", in: repository)
        try store.remove(incarnation.history(TimelineID(2)))
        let history = TimelineHistory(
            timeline: TimelineID(2), ancestors: [.init(timeline: TimelineID(1), switchPoint: LSN(0x8000100))])
        let folder = incarnation.asideFolder.appending("20260101T000000.000000Z-00000002.history")
        try store.create(folder.appending("wal").appending("00000002.history.zst"), bytes: [1])
        let path = place.isEmpty ? store.path(incarnation.asideFolder) : store.path(folder.appending("wal"))
        try Files.rename(path, to: repository.scratch.file("away"))
        try #require(symlink(Files.name(path), path) == 0)
        #expect(try AsideStore(repository.archive, timeline: TimelineID(2)) == nil)
        // One of which nothing is known may be this one.
        #expect(try repository.archive.timelinesAside(of: history) == (place.isEmpty ? [] : [TimelineID(2)]))
        let archive = try RecoveryArchive(
            repository: Repository(store), cluster: "main", dataDirectory: repository.scratch.file("none"), jobs: 1,
            timeline: TimelineID(2))
        #expect(archive.remarks.contains { $0.contains("It is not known which WAL was put aside") })
    }

    @Test func `what was put aside last comes first, however its folder is called`() throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        let names = [
            "20260101T000000Z-000000010000000000000009", "20260101T000000.500000Z-00000001000000000000000A",
            "20260101T000001.000000Z-000000010000000000000001",
        ]
        for name in names {
            try store.create(incarnation.asideFolder.appending(name).appending("record.json"), bytes: [])
        }
        #expect(try repository.archive.asideFolders().map(\.key.name) == names.reversed())
    }
}
