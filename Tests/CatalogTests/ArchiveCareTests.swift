import Archiving
import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// Importing an archive, and verifying one.
@Suite struct ArchiveCareTests {
    private func write(_ path: String, _ bytes: [UInt8]) throws {
        try Files.makeDirectories(Files.parent(path))
        try createDurably(path, bytes: bytes, mode: 0o644)
    }

    private func importer(_ repository: FixtureRepository) -> ImportArchive {
        let push = Push(
            into: Repository(repository.store), cluster: "main", dataDirectory: nil, level: 1, warn: { _ in })
        return ImportArchive(push, scratch: repository.scratch.file("unpacked"), jobs: 2)
    }

    @Test func `an archive of mixed files is imported, and again without harm`() throws {
        let repository = try FixtureRepository(storing: [])
        let archive = repository.scratch.file("archive")
        let names = repository.names
        func raw(_ index: Int) throws -> [UInt8] { try WALFixture.unpacked("pg15", names[index]) }
        try write(archive + "/" + names[0], raw(0))
        try write(archive + "/deep/er/" + names[1], raw(1))
        for (index, program, suffix) in [(2, "gzip", ".gz"), (3, "zstd", ".zst"), (4, "lz4", ".lz4")] {
            try write(archive + "/" + names[index], raw(index))
            let packed = try run(
                "/bin/sh",
                ["-c", "\(program) -c \"$1\" > \"$1\(suffix)\" && rm \"$1\"", "sh", archive + "/" + names[index]])
            try #require(packed.ending == .exited(0), "\(packed.errors)")
        }
        // The same file elsewhere; a damaged one; another kind of file; the one pg_receivewal is writing; the
        // timeline's files.
        try write(archive + "/again/" + names[0], raw(0))
        var broken = try raw(5)
        broken[70] ^= 1
        try write(archive + "/" + names[5], broken)
        try write(archive + "/notes.txt", Array("hello".utf8))
        try write(archive + "/000000020000000000000013.gz.partial", [1, 2, 3])
        for name in ["00000002.history", "00000001000000000000000E.00000028.backup"] {
            try write(archive + "/" + name, WALFixture.file("pg15", name))
        }
        try write(
            archive + "/000000010000000000000010.partial",
            WALFixture.unpacked("pg15", "000000010000000000000010.partial"))
        try write(archive + "/" + names[6], raw(6))
        try write(archive + "/" + names[7], raw(7))

        let before = try Files.list(archive).sorted()
        let report = try importer(repository)(archive)
        #expect(report.stored == 10)
        #expect(report.present == 0)
        #expect(report.duplicates == 1)
        #expect(report.strangers == ["notes.txt"])
        #expect(report.unfinished.map(Files.name) == ["000000020000000000000013.gz.partial"])
        #expect(report.problems.first?.message.contains(names[5]) == true)
        #expect(report.problems.first?.detail?.contains("CRC") == true)
        #expect(report.problems.dropFirst().map(\.message) == ["WAL segment \"\(names[5])\" is missing"])
        #expect(try repository.store.exists(repository.incarnation.history(TimelineID(2))))
        #expect(try Files.list(archive).sorted() == before)

        let again = try importer(repository)(archive)
        #expect(again.stored == 0)
        #expect(again.present == 10)
        #expect(again.problems.count == 2)

        // With the damaged one repaired the import is complete, and what is stored is whole.
        try Files.remove(archive + "/" + names[5])
        try write(archive + "/" + names[5], raw(5))
        #expect(try importer(repository)(archive).problems.isEmpty)
        let verification = try verifyArchive(of: repository.archive, jobs: 2)
        #expect(verification.segments == 8)
        #expect(verification.otherFiles == 3)
        #expect(verification.problems.isEmpty, "\(verification.problems)")
    }

    @Test func `another cluster's segment is refused, the rest is imported`() throws {
        let repository = try FixtureRepository(storing: [])
        let archive = repository.scratch.file("archive")
        let stranger = try WALFixture.segments("pg16")[0]
        try write(archive + "/pg16/" + stranger, WALFixture.unpacked("pg16", stranger))
        try write(archive + "/" + repository.names[1], WALFixture.unpacked("pg15", repository.names[1]))
        let report = try importer(repository)(archive)
        #expect(report.stored == 1)
        #expect(report.problems.count == 1)
        #expect(report.problems.first?.message.contains("has not been initialised for") == true)
    }

    struct Harm: Sendable, CustomTestStringConvertible {
        let name: String
        let says: String
        let apply: @Sendable (FixtureRepository) throws -> Void
        var testDescription: String { name }
    }

    static let harms: [Harm] = [
        Harm(name: "a byte of a stored segment", says: "object \"main/15-") { repository in
            let path = try repository.path(0)
            let size = try FileStatus(of: path).size
            try flipByte(of: path, at: size / 2)
        },
        Harm(name: "a byte of its head", says: "Its head does not match its checksum.") { repository in
            try flipByte(of: repository.path(1), at: 100)
        },
        Harm(name: "a cut", says: "is damaged") { repository in
            truncate(try repository.path(3), 3000)
        },
        Harm(name: "a lost segment", says: "WAL segment \"00000001000000000000000C\" is missing") { repository in
            try Files.remove(repository.path(3))
        },
        Harm(name: "a history", says: "00000002.history") { repository in
            try flipByte(of: repository.store.path(repository.incarnation.history(TimelineID(2))), at: 70)
        },
        Harm(name: "a segment of another history under the right name", says: "does not follow the segment before it") {
            repository in
            // Taken from another chain, so that its content is consistent.
            try Files.remove(repository.path(3))
            var bytes = try WALFixture.unpacked("pg15", repository.names[3])
            // The continued record's bytes are only covered by the join.
            bytes[60] ^= 1
            let summary = try FixtureRepository.scan(bytes, repository.names[3])
            try repository.put(bytes, repository.names[3], summary: summary.encode())
        },
        Harm(name: "a summary that doesn't fit", says: "the stored summary of WAL segment") { repository in
            try Files.remove(repository.path(1))
            let bytes = try WALFixture.unpacked("pg15", repository.names[1])
            var summary = try FixtureRepository.scan(bytes, repository.names[1])
            summary.facts.commits += 1
            try repository.put(bytes, repository.names[1], summary: summary.encode())
        },
        Harm(name: "a damaged record that was stored all the same", says: "is damaged at offset") { repository in
            try Files.remove(repository.path(1))
            var bytes = try WALFixture.unpacked("pg15", repository.names[1])
            let summary = try FixtureRepository.scan(bytes, repository.names[1])
            bytes[20_000] ^= 1
            try repository.put(bytes, repository.names[1], summary: summary.encode())
        },
    ]

    @Test(arguments: harms)
    func `verifying the archive names the damage`(_ harm: Harm) throws {
        let repository = try FixtureRepository()
        let good = try verifyArchive(of: repository.archive, jobs: 2)
        try #require(good.problems.isEmpty)
        #expect(good.segments == repository.names.count)
        #expect(good.records > 20_000)
        try harm.apply(repository)
        let verification = try verifyArchive(of: repository.archive, jobs: 2)
        let texts = verification.problems.map(\.description)
        #expect(texts.contains { $0.contains(harm.says) }, "\(texts)")
        #expect(texts.count <= 2, "\(texts)")
    }

    @Test func `all damages of an archive are named at once`() throws {
        let repository = try FixtureRepository()
        let names = ["a byte of a stored segment", "a byte of its head", "a history"]
        let some = Self.harms.filter { names.contains($0.name) }
        for harm in some { try harm.apply(repository) }
        let verification = try verifyArchive(of: repository.archive, jobs: 2)
        let texts = verification.problems.map(\.description)
        #expect(some.count == 3)
        for harm in some { #expect(texts.contains { $0.contains(harm.says) }, "\(harm): \(texts)") }
    }

    @Test func `a part of the archive can be verified`() throws {
        let repository = try FixtureRepository()
        try flipByte(of: repository.path(0), at: 5000)
        let part = try verifyArchive(of: repository.archive, range: LSN(0xB0_0000)...LSN(0xC0_0000), jobs: 1)
        #expect(part.segments == 2)
        #expect(part.problems.isEmpty)
    }
}

extension FixtureRepository {
    fileprivate func path(_ index: Int) throws -> String {
        store.path(incarnation.segment(try #require(SegmentName(names[index]))))
    }
}
