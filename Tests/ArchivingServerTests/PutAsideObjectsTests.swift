import Archiving
import Platform
import Repository
import Support
import Testing
import WAL

/// A name, and the objects of an archive it stands for: three segments and two backup history files of the second.
struct Naming: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// `0`, `1` and `2` stand for the segments.
    let subject: String
    var following = false
    let moves: [String]

    static let all = [
        Naming(testDescription: "a segment", subject: "1", moves: ["1.zst"]),
        Naming(testDescription: "a segment and what follows", subject: "2", following: true, moves: ["2.zst"]),
        Naming(
            testDescription: "what follows includes the backups that began in the segment", subject: "1",
            following: true, moves: ["1.B.backup.2.zst", "1.B.backup.zst", "1.zst", "2.zst"]),
        Naming(
            testDescription: "a backup history file and its further copies", subject: "1.B.backup",
            moves: ["1.B.backup.2.zst", "1.B.backup.zst"]),
        Naming(
            testDescription: "a segment's unfinished copies", subject: "1.partial",
            moves: ["1.partial.2.zst", "1.partial.zst"]),
    ]

    /// Inserts the archive's names.
    func expand(_ text: String, _ names: [SegmentName], _ backupHistory: String) -> String {
        let offset = backupHistory.dropFirst(25).prefix(8)
        return names[Int(String(text.first!))!].description + text.dropFirst().replacing("B", with: offset)
    }
}

/// Which objects of an archive are put aside, and where they go.
@Suite struct PutAsideObjectsTests {
    /// Two servers took a backup at the same position: only the label differs.
    private func other(_ archive: Archive, _ label: String) throws -> String {
        try archive.copy(archive.origin.backupHistory) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            bytes = Array(text.replacing("LABEL: x", with: "LABEL: \(label)").utf8)
        }
    }

    @Test(arguments: [false, true])
    func `another backup history file of one name is kept beside the first and stops nothing`(
        firstIsDamaged: Bool
    ) throws {
        let archive = try Archive()
        let (origin, store) = (archive.origin, archive.store)
        let file = try #require(ArchiveFileName(origin.backupHistory))
        try archive.push(origin.wal(origin.backupHistory), expectSuccess: true)
        let key = origin.incarnation.key(for: file)
        if firstIsDamaged {
            var bytes = try Files.read(store.path(key))
            bytes[20] ^= 1
            try replaceDurably(store.path(key), bytes: bytes, mode: 0o644)
        }
        let first = try Files.read(store.path(key))
        for (label, copy) in [("second", 2), ("third", 3)] {
            let path = try other(archive, label)
            let pushed = try archive.push(path, expectSuccess: true)
            #expect(pushed.errors.contains("next to one with other contents"), "\(pushed)")
            let stored = try StoredSegment(origin.incarnation.key(for: file, copy: copy), in: store)
            #expect(try stored.bytes(limit: 1 << 20) == Files.read(path))
            // Again: it is already there.
            #expect(try archive.push(path, expectSuccess: true).errors == "")
            #expect(!(try store.exists(origin.incarnation.key(for: file, copy: copy + 1))))
        }
        #expect(try Files.read(store.path(key)) == first)
        if !firstIsDamaged {
            #expect(try archive.push(origin.wal(origin.backupHistory), expectSuccess: true).errors == "")
            let got = archive.scratch.file("got")
            try archive.get(origin.backupHistory, to: got, expectSuccess: true)
            #expect(try Files.read(got) == Files.read(origin.wal(origin.backupHistory)))
        }
    }

    @Test(arguments: Naming.all)
    func `the named objects are moved, and no others`(_ naming: Naming) throws {
        let archive = try Archive()
        let (origin, store) = (archive.origin, archive.store)
        let place = try #require(ArchiveFileName(origin.backupHistory)?.place)
        let names = try [#require(place.previous(segmentSize: 1 << 20)), place, place.next(segmentSize: 1 << 20)]
        for name in names {
            // Their contents don't matter here.
            try store.createFile(origin.incarnation.segment(name), bytes: Array(name.description.utf8))
        }
        for copy in 1...2 {
            try store.createFile(origin.incarnation.key(for: .partial(place), copy: copy), bytes: [UInt8(copy)])
        }
        try archive.giveToServer(archive.repository)
        try archive.push(origin.wal(origin.backupHistory), expectSuccess: true)
        try archive.push(other(archive, "other"), expectSuccess: true)
        let subject = try #require(PutAside.Subject(naming.expand(naming.subject, names, origin.backupHistory)))
        let moves = naming.moves.map { naming.expand($0, names, origin.backupHistory) }

        let aside = try PutAside(subject, following: naming.following, of: archive.archived)
        #expect(aside.keys.map(\.name).sorted() == moves.sorted())
        // Twice in one microsecond: each call has a folder of its own.
        let moment = Moment(microseconds: 1_800_000_000_123_456)
        let folder = try aside.carryOut(now: moment, reason: "test")
        #expect(aside.keys.allSatisfy { (try? store.exists($0)) == false })
        let moved = try run("/usr/bin/find", [store.path(folder), "-name", "*.zst", "-printf", "%f\\n"])
        #expect(Set(moved.output.split(separator: "\n").map(String.init)) == Set(moves))
        try store.createFile(aside.keys[0], bytes: [1])
        let second = try PutAside(subject, following: naming.following, of: archive.archived)
        #expect(try second.carryOut(now: moment, reason: "test") != folder)
        #expect(try store.list(origin.incarnation.asideFolder).count == 2)
    }

    /// What happens between the check and the move, while a user is asked.
    enum Meanwhile: CaseIterable { case gone, another, anotherCopy, otherProcess, refused }

    @Test(arguments: Meanwhile.allCases)
    func `an object that has changed since it was shown is not moved`(_ meanwhile: Meanwhile) throws {
        let archive = try Archive()
        let (incarnation, store, archived) = (archive.origin.incarnation, archive.store, archive.archived)
        let name = archive.origin.segments[0]
        try store.createFile(incarnation.segment(name), bytes: [1])
        let subject = try #require(PutAside.Subject(name.description))
        let shown = try PutAside(subject, of: archived)
        let moment = Moment(microseconds: 1_800_000_000_000_000)
        var (mayStay, folders) = ([incarnation.segment(name)], 0)
        var lock: LockAttempt?
        switch meanwhile {
        case .gone, .another:
            try PutAside(subject, of: archived).carryOut(now: moment, reason: "somebody else's")
            (mayStay, folders) = ([], 1)
            if meanwhile == .another {
                try store.createFile(incarnation.segment(name), bytes: [2, 2])
                mayStay = [incarnation.segment(name)]
            }
        case .anotherCopy:
            try store.createFile(incarnation.key(for: .segment(name), copy: 2), bytes: [2])
            mayStay.append(incarnation.key(for: .segment(name), copy: 2))
        case .otherProcess:
            lock = try store.lock(
                "lock", in: incarnation.asideFolder, isShared: false, patience: 0, makesFolder: true)
        case .refused: break
        }
        #expect(throws: (any Error).self) {
            try shown.carryOut(now: moment, reason: "") { _ in
                if meanwhile == .refused { throw Problem("it is needed") }
            }
        }
        withExtendedLifetime(lock) {}
        for key in mayStay { #expect(try store.exists(key), "\(key)") }
        #expect(try store.list(incarnation.asideFolder).count == folders)
    }

    /// What has been archived under the first name of a branch that was put aside.
    enum Since: CaseIterable { case nothing, theSame, another }

    @Test(arguments: Since.allCases)
    func `what was put aside is read and put back only beside its own history`(_ since: Since) throws {
        let archive = try Archive()
        let (incarnation, store, archived) = (archive.origin.incarnation, archive.store, archive.archived)
        let names = Array(archive.origin.segments.prefix(3))
        for name in names { try store.createFile(incarnation.segment(name), bytes: Array(name.description.utf8)) }
        let subject = try #require(PutAside.Subject(names[1].description))
        let aside = try PutAside(subject, following: true, of: archived)
        let folder = try aside.carryOut(now: Moment(microseconds: 1_800_000_000_000_000), reason: "test")
        switch since {
        case .nothing: break
        case .theSame: try store.createFile(incarnation.segment(names[1]), bytes: Array(names[1].description.utf8))
        case .another: try store.createFile(incarnation.segment(names[1]), bytes: Array("another".utf8))
        }
        #expect(try archived.restoringAside(TimelineID(2)) == nil)
        guard since != .another else {
            #expect(try archived.restoringAside(TimelineID(1)) == nil)
            #expect(throws: PlaceTaken.self) { try PutBack(subject, of: archived) }
            return
        }
        let view = try #require(try archived.restoringAside(TimelineID(1)))
        #expect(try view.segments(timeline: TimelineID(1)) == names)
        #expect(try view.stored(names[2]).key.description.hasPrefix("\(folder)"))
        let back = try PutBack(subject, of: archived)
        #expect(back.objects.map(\.file) == names.dropFirst(since == .theSame ? 2 : 1).map { .segment($0) })
        #expect(back.staying.map(\.file) == (since == .theSame ? [.segment(names[1])] : []))
        try back.carryOut()
        #expect(try archived.segments(timeline: TimelineID(1)) == names)
        #expect(try store.exists(folder.appending("record.json")))
    }

    @Test func `an older folder of the same name is put back where nothing of the newest can be`() throws {
        let archive = try Archive()
        let (incarnation, store, archived) = (archive.origin.incarnation, archive.store, archive.archived)
        let names = Array(archive.origin.segments.prefix(2))
        let subject = try #require(PutAside.Subject(names[0].description))
        func put(_ name: SegmentName) throws {
            try store.createFile(incarnation.segment(name), bytes: Array(name.description.utf8))
        }
        for name in names { try put(name) }
        let older = try PutAside(subject, following: true, of: archived)
            .carryOut(now: Moment(microseconds: 1_800_000_000_000_000), reason: "older")
        try put(names[0])
        let newer = try PutAside(subject, following: true, of: archived)
            .carryOut(now: Moment(microseconds: 1_800_000_001_000_000), reason: "newer")
        // The state after a call that was killed between creating the new name and removing the old one.
        try put(names[0])
        let back = try PutBack(subject, of: archived)
        #expect(back.folder == older && older != newer)
        #expect(back.objects.map(\.file) == [.segment(names[1])])
        #expect(back.staying.map(\.file) == [.segment(names[0])])
        try back.carryOut()
        #expect(try archived.segments(timeline: TimelineID(1)) == names)
        // Nothing is left to be moved: the newest folder shows it.
        let nothing = try PutBack(subject, of: archived)
        #expect(nothing.folder == newer && nothing.objects.isEmpty)
    }

    @Test(arguments: [false, true])
    func `a conflict's hint includes the segments that follow`(isFollowed: Bool) throws {
        let archive = try Archive(settings: ["archive_jobs = 1"])
        let (name, next) = (archive.origin.segments[2], archive.origin.segments[3])
        try archive.push(archive.origin.wal(name.description), expectSuccess: true)
        if isFollowed { try archive.push(archive.origin.wal(next.description), expectSuccess: true) }
        let wal = try ServerWAL(archive)
        let bytes = try EarlySegment.contradicting(Files.read(archive.origin.wal(name.description)), name, at: 300_000)
        let refused = try archive.push(wal.put(name.description, bytes))
        #expect(refused.ending == .exited(1), "\(refused)")
        let command =
            "\"tidemark segments put-aside \(name)\(isFollowed ? " --following" : "") --config \(archive.configuration)\""
        #expect(refused.errors.contains(command), "\(refused)")
    }
}
