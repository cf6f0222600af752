import BackupTaking
import BackupVerification
import Backups
import DataDirectory
import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// Damage to a repository, and what verify must report.
struct Damage: Sendable, CustomTestStringConvertible {
    let name: String
    let says: String
    let apply: @Sendable (BackupFixture, BackupDescription) throws -> Void
    var testDescription: String { name }
}

@Suite(.serialized) struct DamageServerTests {
    static let damages: [Damage] = [
        Damage(name: "a flipped byte in a frame", says: "is damaged") { fixture, backup in
            try flip(fixture.store.path(fixture.incarnation.pack(backup.label, 1)), at: 5000)
        },
        Damage(name: "a truncated pack", says: "is damaged") { fixture, backup in
            try shorten(fixture.store.path(fixture.incarnation.pack(backup.label, 1)), 100_000)
        },
        Damage(name: "a missing pack", says: "is missing") { fixture, backup in
            try Files.remove(fixture.store.path(fixture.incarnation.pack(backup.label, 2)))
        },
        Damage(name: "a damaged manifest", says: "of the repository is damaged") { fixture, backup in
            try flip(fixture.store.path(fixture.incarnation.backup(backup.label, "manifest.sqlite.zst")), at: 3000)
        },
        Damage(name: "a missing manifest", says: "is not in repository") { fixture, backup in
            try Files.remove(fixture.store.path(fixture.incarnation.backup(backup.label, "manifest.sqlite.zst")))
        },
        Damage(name: "a manifest with a run of no file", says: "a run of an unknown file") { fixture, _ in
            try edit(fixture, "INSERT INTO runs SELECT 4000000, list FROM runs LIMIT 1")
        },
        Damage(name: "a manifest with runs of impossible files", says: "a run of an unknown file") { fixture, _ in
            try edit(
                fixture,
                """
                INSERT INTO runs SELECT -5, list FROM runs LIMIT 1;
                INSERT INTO runs SELECT 1 << 40, list FROM runs LIMIT 1
                """)
        },
        Damage(name: "a manifest that lacks a run", says: "do not add up to its content") { fixture, _ in
            try edit(fixture, "DELETE FROM runs WHERE file = (SELECT id FROM file WHERE path = 'PG_VERSION')")
        },
        Damage(name: "a manifest with a file too long", says: "do not add up to its content") { fixture, _ in
            try edit(fixture, "UPDATE file SET size = size + 1 WHERE path = 'base/1/PG_VERSION'")
        },
        Damage(name: "a manifest with a run outside of its frame", says: "a run outside of its frame") { fixture, _ in
            try edit(fixture, "\(lastList) run_list(1, 1, 1 << 25)")
        },
        Damage(name: "a manifest with a list that is cut off", says: "of the repository is damaged") { fixture, _ in
            try edit(fixture, "\(lastList) x'0283'")
        },
        Damage(name: "a manifest with a run in no frame", says: "of the repository is damaged") { fixture, _ in
            try edit(fixture, "\(lastList) run_list(1, 4000000, 0)")
        },
        Damage(name: "other bytes than were stored, whatever they are for", says: "is damaged") { fixture, backup in
            try flip(fixture.store.path(fixture.incarnation.pack(backup.label, 1)), at: 20)
        },
        Damage(name: "another number of bytes than was stored", says: "is damaged") { fixture, _ in
            try edit(fixture, "UPDATE pack SET size = size + 1")
        },
        Damage(name: "a manifest that lacks a table", says: "of the repository is damaged") { fixture, _ in
            try edit(fixture, "DROP TABLE library")
        },
        Damage(name: "a manifest that lacks a column", says: "of the repository is damaged") { fixture, _ in
            try edit(fixture, "ALTER TABLE locale DROP COLUMN provider")
        },
        Damage(name: "another small file", says: "has another content than its digest") { fixture, _ in
            try edit(fixture, "UPDATE file SET digest = zeroblob(16) WHERE path = 'PG_VERSION'")
        },
        Damage(name: "a missing segment", says: "which the backup needs, is missing") { fixture, backup in
            try Files.remove(fixture.store.path(fixture.incarnation.segment(backup.stopSegment)))
        },
        Damage(name: "a damaged segment", says: "which the backup needs, is damaged") { fixture, backup in
            try flip(fixture.store.path(fixture.incarnation.segment(backup.startSegment)), at: 900)
        },
    ]

    /// The list of the last file becomes …
    private static let lastList = "REPLACE INTO runs SELECT (SELECT max(file) FROM runs),"

    private static func edit(_ fixture: BackupFixture, _ statements: String) throws {
        try inManifest(of: fixture.store.location, statements)
    }

    private static func shorten(_ path: String, _ size: Int64) throws {
        try Descriptor(open: path, O_RDWR).truncate(to: size, path: path)
    }

    private static func flip(_ path: String, at offset: Int) throws {
        let file = try Descriptor(open: path, O_RDWR)
        var byte: UInt8 = 0
        _ = try withUnsafeMutableBytes(of: &byte) { try file.read(into: $0, at: Int64(offset), path: path) }
        byte ^= 0xFF
        try withUnsafeBytes(of: byte) { try file.write($0, at: Int64(offset), path: path) }
    }

    @Test(arguments: damages) func `verify names the damage and restore refuses it`(_ damage: Damage) throws {
        let fixture = try BackupFixture()
        let backup = try fixture.takeBackup()
        let request = VerifyRequest(jobs: 2)
        let before = try verifyBackup(backup, of: fixture.archive, request: request)
        #expect(before.problems == [])
        #expect(before.frames > 0 && before.pages > 0 && before.segments > 0)
        try damage.apply(fixture, backup)
        let after = try verifyBackup(backup, of: fixture.archive, request: request)
        let messages = after.problems.map(\.message)
        #expect(messages.contains { $0.contains(damage.says) }, "\(after.problems)")
        if damage.name.contains("pack") || damage.name.contains("frame") || damage.name.contains("manifest") {
            #expect(throws: (any Error).self) { try fixture.restore(backup, to: fixture.scratch.file("restored")) }
            #expect(!(try Files.exists(fixture.scratch.file("restored") + "/global/pg_control")))
        }
    }

    @Test func `everything that is wrong is reported at once`() throws {
        let fixture = try BackupFixture()
        let backup = try fixture.takeBackup()
        let names = ["a flipped byte in a frame", "a missing pack", "a missing segment"]
        let damages = Self.damages.filter { names.contains($0.name) }
        for damage in damages { try damage.apply(fixture, backup) }
        let report = try verifyBackup(backup, of: fixture.archive, request: VerifyRequest(jobs: 2))
        #expect(damages.count == 3)
        for damage in damages {
            #expect(report.problems.contains { $0.message.contains(damage.says) }, "\(damage): \(report.problems)")
        }
    }

    @Test func `corrupt pages are listed by relation and block, torn ones are not`() throws {
        let fixture = try BackupFixture()
        try fixture.cluster.psql("CREATE TABLE t AS SELECT i, repeat('x', 500) AS x FROM generate_series(1, 5000) i")
        let path = try fixture.cluster.psql("SELECT pg_relation_filepath('t')")
        try fixture.cluster.stop()
        // Block 7 gets a wrong byte; block 9 as well, but its header says that it was written in the future.
        try DamageServerTests.flip(fixture.cluster.data + "/" + path, at: 7 * 8192 + 5000)
        try DamageServerTests.flip(fixture.cluster.data + "/" + path, at: 9 * 8192 + 1)
        try fixture.cluster.start()
        let backup = try fixture.takeBackup()
        #expect(
            backup.corruptPages == [
                CorruptPage(path: path, block: 7, relation: "postgres.public.t"),
                CorruptPage(path: path, block: 9, relation: "postgres.public.t"),
            ])
        #expect(try fixture.archive.listBackups().complete == [backup])
        // They were corrupt before; the backup itself is unchanged.
        let report = try verifyBackup(backup, of: fixture.archive, request: VerifyRequest(jobs: 2))
        #expect(report.problems == [])
    }

    @Test func `a verification reads each pack once`() throws {
        let fixture = try BackupFixture()
        let backup = try fixture.takeBackup { $0.packSize = 1 << 20 }
        let packs = try fixture.store.list(fixture.incarnation.packFolder(backup.label))
        let stored = packs.reduce(0) { $0 + Int($1.size ?? 0) }
        let counting = Counting()
        let archive = ClusterArchive(fixture.incarnation, in: InterceptedStore(fixture.store, counting))
        let report = try verifyBackup(backup, of: archive, request: VerifyRequest(jobs: 2, includesWAL: false))
        #expect(report.problems == [] && report.packs == packs.count && packs.count > 2)
        // The indexes, the manifest and pg_control come on top.
        let read = counting.bytes[.read] ?? 0
        #expect(read >= stored && read < stored * 5 / 4, "\(read) of \(stored)")
    }

    @Test func `an interrupted verification goes on where it was`() throws {
        let fixture = try BackupFixture()
        let backup = try fixture.takeBackup { $0.packSize = 1 << 20 }
        let memory = fixture.scratch.file("memory")
        let request = VerifyRequest(jobs: 1, includesWAL: false, progressDirectory: memory)
        try Files.makeDirectories(memory)
        let file = memory + "/\(fixture.incarnation.folderName)-\(backup.label)"
        // A killed process, or a full disk, has truncated the last line.
        try createDurably(file, bytes: Array("1 \(Clock.now)\n2 \(Clock.now)\n3 \(Clock.now)".utf8))
        let report = try verifyBackup(backup, of: fixture.archive, request: request)
        #expect(report.problems == [])
        #expect(report.skippedPacks == 2 && report.packs > 2)
        #expect(!(try Files.exists(file)))
        try recordVerification(report, of: fixture.archive)
        let last = try lastVerification(of: backup.label, of: fixture.archive)
        #expect(last?.problems == 0)
        // Packs found good days ago are read again, whatever was found since; so are those that a wrong clock has
        // dated.
        let day: Int64 = 86_400_000_000
        try createDurably(
            file,
            bytes: Array("1 \(Clock.now - 25 * day / 24)\n2 \(Clock.now - day / 24)\n3 \(Clock.now + day)\n4\n".utf8))
        let later = try verifyBackup(backup, of: fixture.archive, request: request)
        #expect(later.problems == [] && later.skippedPacks == 1 && later.frames > report.frames)
    }
}
