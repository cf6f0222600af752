import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// The folder of the WAL is empty although there are backups: the file system that holds the WAL may not be mounted.
/// What is stored below the mount point would be hidden once it is, and until then the rest would seem to be absent.
@Suite struct LostWALServerTests {
    /// A file that the server hands over, made of what a finished cluster has.
    enum Offer: String, CaseIterable, Sendable {
        case nextSegment, firstSegment, partial, history, backupHistory

        func file(of archive: Archive) throws -> String {
            let segments = archive.origin.segments
            let folder = archive.scratch.file("pg_wal")
            func copy(_ segment: SegmentName, as name: String) throws -> String {
                try Files.makeDirectories(folder)
                try createDurably("\(folder)/\(name)", bytes: Files.read(archive.origin.wal(segment.description)))
                try archive.giveToServer(folder)
                return "\(folder)/\(name)"
            }
            func text(_ text: String, as name: String) throws -> String {
                try Files.makeDirectories(folder)
                try createDurably("\(folder)/\(name)", bytes: Array(text.utf8))
                try archive.giveToServer(folder)
                return "\(folder)/\(name)"
            }
            switch self {
            case .nextSegment: return archive.origin.wal(segments[2].description)
            case .firstSegment: return archive.origin.wal(segments[0].description)
            case .partial: return try copy(segments[2], as: "\(segments[2]).partial")
            case .history: return try text("1\t0/3000000\tno recovery target specified\n", as: "00000002.history")
            case .backupHistory:
                return try text(
                    "START WAL LOCATION: 0/3000028 (file \(segments[1]))\n", as: "\(segments[1]).00000028.backup")
            }
        }
    }
    enum Loss: CaseIterable, Sendable { case emptyFolder, noFolder, emptyBesidePutAside }

    private func lose(_ loss: Loss, _ archive: Archive) throws -> String {
        for name in archive.origin.segments.prefix(2) {
            try archive.push(archive.origin.wal(name.description), expectSuccess: true)
        }
        let incarnation = archive.origin.incarnation
        try describeBackup(in: archive)
        if loss == .emptyBesidePutAside {
            // Of another timeline.
            let segment = archive.origin.segments[1].description
            let other = try #require(SegmentName("00000002" + segment.dropFirst(8)))
            try archive.store.createFile(aside(other, in: archive), bytes: [1])
        }
        let folder = archive.repository + "/" + incarnation.walFolder.description
        try #require(rename(folder, archive.scratch.file("away")) == 0)
        if loss != .noFolder { try Files.makeDirectories(folder) }
        try archive.giveToServer(archive.repository)
        return folder
    }

    /// A backup that begins in the first segment.
    private func describeBackup(in archive: Archive) throws {
        let document = SealedDocument(
            .backup, body: Array("{\n  \"start_segment\" : \"\(archive.origin.segments[0])\"\n}".utf8))
        try archive.store.create(archive.origin.incarnation.backup("20240101T000000Z-full", "backup.json"), document)
    }

    private func aside(_ segment: SegmentName, in archive: Archive) -> RepositoryKey {
        let incarnation = archive.origin.incarnation
        let folder = incarnation.asideFolder.appending("20240101T000000.000000Z-\(segment)")
        return AsideStore.place(incarnation.segment(segment), incarnation, in: folder)
    }

    @Test func `the WAL of every backup may have been put aside`() throws {
        let archive = try Archive()
        for name in archive.origin.segments.prefix(2) {
            try archive.push(archive.origin.wal(name.description), expectSuccess: true)
        }
        try describeBackup(in: archive)
        for segment in archive.origin.segments.prefix(2) {
            try archive.store.move(archive.origin.incarnation.segment(segment), to: aside(segment, in: archive))
        }
        try archive.giveToServer(archive.repository)
        let wal = archive.repository + "/" + archive.origin.incarnation.walFolder.description
        _ = try run("/usr/bin/find", [wal, "-mindepth", "1", "-depth", "-type", "d", "-empty", "-delete"])
        #expect(try Files.list(wal) == [])
        try archive.push(archive.origin.wal(archive.origin.segments[2].description), expectSuccess: true)
    }

    @Test(arguments: Offer.allCases, Loss.allCases)
    func `nothing is stored, and the offered way out works`(_ offer: Offer, _ loss: Loss) throws {
        let archive = try Archive()
        let folder = try lose(loss, archive)
        let path = try offer.file(of: archive)
        for program in Program.allCases {
            let refused = try archive.push(path, by: program)
            #expect(refused.ending == .exited(1), "\(refused)")
            #expect(refused.errors.contains("the WAL of repository"), "\(refused)")
            #expect(refused.errors.contains("mounted?"), "\(refused)")
            #expect(try !Files.exists(folder) || Files.list(folder) == [], "\(refused)")
        }
        let refused = try archive.push(path).errors
        let offered = try #require(refused.firstMatch(of: /"tidemark (archive-push --accept-discontinuity[^"]*)"/))
        let words = offered.output.1.split(separator: " ").map { $0 == "PATH" ? path : String($0) }
        let accepted = try tidemark(words)
        #expect(accepted.ending == .exited(0), "\(accepted)")
        try archive.push(archive.origin.wal(archive.origin.segments[3].description), expectSuccess: true)
    }

    @Test(arguments: Loss.allCases)
    func `nothing is removed`(_ loss: Loss) throws {
        let archive = try Archive()
        _ = try lose(loss, archive)
        let description = archive.origin.incarnation.backupDescription("20240101T000000Z-full")
        for dryRun in [[], ["--dry-run"]] {
            let refused = try tidemark(["expire", "--keep-full", "1", "--config", archive.configuration] + dryRun)
            #expect(refused.ending == .exited(1), "\(refused)")
            #expect(refused.errors.contains("the WAL of repository"), "\(refused)")
        }
        #expect(try archive.store.exists(description))
    }

    @Test(arguments: Loss.allCases)
    func `archiving goes on after it was mounted`(_ loss: Loss) throws {
        let archive = try Archive()
        let folder = try lose(loss, archive)
        let path = archive.origin.wal(archive.origin.segments[2].description)
        #expect(try archive.push(path).ending == .exited(1))
        if loss != .noFolder { #expect(rmdir(folder) == 0) }
        try #require(rename(archive.scratch.file("away"), folder) == 0)
        try archive.push(path, expectSuccess: true)
        let verified = try tidemark(["verify", "--wal", "--config", archive.configuration])
        #expect(!verified.errors.contains("missing"), "\(verified)")
    }
}
