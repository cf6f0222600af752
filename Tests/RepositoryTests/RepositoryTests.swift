import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// Everything below a path, itself included.
private func files(_ path: String) throws -> [String] {
    guard try FileStatus(ifPresent: path)?.kind == .directory else { return [path] }
    return try [path] + Files.list(path).sorted().flatMap { try files(path + "/" + $0) }
}

@Suite struct DirectoryStoreTests {
    @Test func `a directory keeps the promises of a store`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(try scratch.repository(of: "main/15-1"))
        let conformance = StoreConformance(store: store) { bytes, folder in
            let name = temporaryName(for: store.path(folder) + "/object")
            // No process has so high an ID.
            try createDurably(name.replacing("-\(getpid()).", with: "-\(Int32.max)."), bytes: bytes)
        }
        try conformance.check()
        #expect(try files(scratch.path).filter { $0.hasSuffix(".tmp") } == [])
    }

    @Test func `a store in memory keeps them, too, and fails on request`() throws {
        let store = MemoryStore()
        try store.create(RepositoryKey("main/15-1/incarnation.json")!, bytes: [])
        try StoreConformance(store: store, leave: store.leave, fail: store.fail).check()
    }

    @Test func `a folder that has not changed for a while has a mark, which the next change changes`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(try scratch.repository(of: "main/15-1"))
        let folder = RepositoryKey("main/15-1/wal")!
        try store.create(folder.appending("one"), bytes: [1])
        let hourAgo = timespec(tv_sec: time(nil) - 3600, tv_nsec: 0)
        utimensat(AT_FDCWD, store.path(folder), [hourAgo, hourAgo], 0)
        let mark = try store.changeMark(of: folder)
        #expect(try mark != nil && store.changeMark(of: folder) == mark)
        try store.create(folder.appending("two"), bytes: [1])
        #expect(try store.changeMark(of: folder) != mark)
        #expect(try store.changeMark(of: folder.appending("absent")) == nil)
    }

    @Test func `temporaries don't count as objects`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path + "//")
        #expect(store.location == scratch.path)
        try Files.makeDirectories(scratch.file("main"))
        try createDurably(scratch.file("main/.object.deadbeef-1.1f.tmp"), bytes: [1])
        #expect(try store.list(.root.appending("main")) == [])
    }

    @Test func `a repository that is gone is an error, not an absent object, and isn't made anew`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.file("repository"))
        let key = RepositoryKey("main/object")!
        let missing = RepositoryMissing(location: scratch.file("repository"))
        #expect(throws: missing) { try store.open(key) }
        #expect(throws: missing) { try store.size(of: key) }
        #expect(throws: missing) { try store.list(.root) }
        #expect(throws: missing) { try store.create(key, bytes: [1]) }
        #expect(try Files.list(scratch.path) == [])
    }

    @Test func `a file where a folder should be is an error, not an absent object`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        try store.create(RepositoryKey("main")!, bytes: [1])
        #expect(throws: SystemError.self) { try store.open(RepositoryKey("main/object")!) }
        #expect(throws: SystemError.self) { try store.create(RepositoryKey("main/object")!, bytes: [1]) }
    }
}

/// Something that happens to a repository's directory while a store works in it; for the store, unmounting a file
/// system or mounting another over it looks the same.
private struct Absence: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Gets the repository's path; whatever it leaves there must stay unchanged.
    let happen: @Sendable (String) throws -> Void

    init(_ name: String, _ happen: @escaping @Sendable (String) throws -> Void) {
        (testDescription, self.happen) = (name, happen)
    }

    static let all = [
        Absence("an empty mount point") { try Files.makeDirectories($0) },
        Absence("no mount point") { _ in },
        Absence("a repository without the cluster") { try Files.makeDirectories($0 + "/other/15-1") },
        Absence("a place without its marker") { try Files.makeDirectories($0 + "/main/15-1/wal") },
        Absence("another repository with such a cluster") {
            try Files.makeDirectories($0 + "/main/15-1")
            try createDurably($0 + "/main/15-1/incarnation.json", bytes: [2])
        },
    ]
}

@Suite struct AbsentRepositoryTests {
    private let key = RepositoryKey("main/15-1/wal/00000001/0000000100000000/object")!

    @Test(arguments: Absence.all)
    private func `nothing is written into a repository that is away, nor made in its place`(
        _ absence: Absence
    ) throws {
        let scratch = try Scratch()
        let (path, away) = (scratch.file("repository"), scratch.file("away"))
        try Files.makeDirectories(path + "/main/15-1")
        try createDurably(path + "/main/15-1/incarnation.json", bytes: [1])
        let store = DirectoryStore(path)
        try store.create(key, bytes: [1])
        try Files.rename(path, to: away)
        try absence.happen(path)
        let before = try Files.exists(path) ? files(path) : []
        for name in ["other", "pack/l/000001"] {
            let new = RepositoryKey(name == "other" ? key.folder.description + "/other" : "main/15-1/" + name)!
            #expect(throws: RepositoryReplaced.self) { try store.create(new, bytes: [1]) }
        }
        #expect(throws: RepositoryReplaced.self) {
            try store.create(RepositoryKey("main/15-1/job/x")!) { _ in }
        }
        #expect(try Files.exists(path) ? files(path) == before : before == [])
        // Reads still go to the repository that was opened, which has no leftover in it.
        #expect(try store.read(key) == [1])
        #expect(try store.list(key.folder).map(\.name) == ["object"])
        #expect(try Files.list(away + "/" + key.folder.description) == ["object"])
        // The repository is back.
        if try Files.exists(path) { try Files.removeTree(path) }
        try Files.rename(away, to: path)
        try store.create(RepositoryKey("main/15-1/other")!, bytes: [1])
    }

    @Test(arguments: Absence.all.dropLast())
    private func `nothing is written into a repository that was away when it was opened`(_ absence: Absence) throws {
        let scratch = try Scratch()
        let path = scratch.file("repository")
        try absence.happen(path)
        let before = try Files.exists(path) ? files(path) : []
        let store = DirectoryStore(path)
        #expect(throws: (any Error).self) { try store.create(key, bytes: [1]) }
        #expect(throws: (any Error).self) { try store.move(key, to: key.folder.appending("other")) }
        #expect(try Files.exists(path) ? files(path) == before : before == [])
    }

    @Test func `what lies behind a link that leads nowhere is not known to be absent`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(try scratch.repository(of: "main/15-1"))
        let folder = scratch.file(key.folder.description)
        try Files.makeDirectories(folder)
        symlink(scratch.file("tier/object"), folder + "/object")
        let error = #expect(throws: UnreachableObject.self) { try store.open(key) }
        #expect(error?.link == folder + "/object")
        #expect(try store.list(key.folder).map(\.name) == ["object"])
        #expect(throws: ObjectAbsent.self) { try store.open(key.folder.appending("other")) }
        // The same for a folder.
        try Files.removeTree(scratch.file("main/15-1/wal"))
        symlink(scratch.file("tier/wal"), scratch.file("main/15-1/wal"))
        #expect(throws: UnreachableObject.self) { try store.open(key) }
        #expect(throws: UnreachableObject.self) { try store.list(key.folder) }
        #expect(throws: (any Error).self) { try store.create(key, bytes: [1]) }
        // A mount point without its file system.
        try Files.makeDirectories(scratch.file("tier/wal"))
        #expect(throws: UnreachableObject.self) { try store.open(key) }
        #expect(throws: UnreachableObject.self) { try store.list(RepositoryKey("main/15-1/wal")!) }
        #expect(throws: UnreachableObject.self) { try store.create(key, bytes: [1]) }
        #expect(try Files.list(scratch.file("tier/wal")).isEmpty)
        // New storage.
        try createDurably(scratch.file("tier/wal/.new"), bytes: [])
        #expect(throws: ObjectAbsent.self) { try store.open(key) }
        try store.create(key, bytes: [7])
        #expect(try store.read(key) == [7])
    }

    @Test(arguments: ["fifo", "directory", "socket", "/dev/zero"])
    func `a file of another kind in an object's place doesn't block`(_ kind: String) throws {
        let scratch = try Scratch()
        let store = DirectoryStore(try scratch.repository(of: "main/15-1"))
        let path = scratch.file(key.description)
        try Files.makeDirectories(Files.parent(path))
        switch kind {
        case "fifo": mkfifo(path, 0o666)
        case "directory": mkdir(path, 0o777)
        case "socket": mknod(path, S_IFSOCK | 0o666, 0)
        default: symlink(kind, path)
        }
        #expect(throws: (any Error).self) { try store.open(key) }
        if kind != "socket" { #expect(throws: NotAnObject.self) { try store.open(key) } }
    }
}

@Suite struct RepositoryKeyTests {
    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", "../a", "a/..", "a/./b", ".hidden", "a/.hidden", "a\nb", "a\u{7F}",
        String(repeating: "x", count: 201),
    ])
    func `a path that could lead elsewhere is no key`(_ text: String) {
        #expect(RepositoryKey(text) == nil)
    }

    @Test func `keys know their parts`() throws {
        let key = try #require(RepositoryKey("main/15-7/wal/x.zst"))
        #expect(key.name == "x.zst")
        #expect(key.folder.description == "main/15-7/wal")
        #expect(RepositoryKey.root.appending("main").folder == .root)
        #expect(RepositoryKey.root.appending("main").name == "main")
    }

    @Test func `an incarnation knows where everything lies`() throws {
        let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 7_234_567_890_123_456_789)
        let expected = [
            "0000000200000001000000FE": "wal/00000002/0000000200000001/0000000200000001000000FE.zst",
            "0000000200000001000000FE.partial": "wal/00000002/0000000200000001/0000000200000001000000FE.partial.zst",
            "0000000200000001000000FE.00000028.backup":
                "wal/00000002/0000000200000001/0000000200000001000000FE.00000028.backup.zst",
            "00000002.history": "wal/00000002.history.zst",
        ]
        for (name, key) in expected {
            let file = try #require(ArchiveFileName(name))
            #expect(incarnation.key(for: file).description == "main/15-7234567890123456789/" + key)
        }
        #expect(incarnation.pack("L", 7).description == "main/15-7234567890123456789/pack/L/000007")
        #expect(Incarnation(cluster: "main", folderName: incarnation.folderName) == incarnation)
        for name in ["15", "15-", "-7", "015-7", "15-7-1", "x-7", "15-99999999999999999999"] {
            #expect(Incarnation(cluster: "main", folderName: name) == nil)
        }
    }

    @Test func `listings are in order and omit other files`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        let old = Incarnation(cluster: "main", major: 9, systemIdentifier: 1)
        let new = Incarnation(cluster: "main", major: 15, systemIdentifier: 1)
        for incarnation in [new, old] { try store.create(incarnation.marker, bytes: [1]) }
        try Files.makeDirectories(scratch.file("main/16-3/wal"))
        try createDurably(scratch.file("main/16-3/wal/00000001.history.zst"), bytes: [1])
        #expect(try Repository(store).incarnations(of: "main") == [old, new])
        #expect(try Repository(store).clusters() == ["main"])

        let archive = ClusterArchive(new, in: store)
        let names = ["0000000100000000000000FF", "000000010000000100000000", "000000010000000000000003"]
        for name in names { try store.create(new.segment(SegmentName(name)!), bytes: [1]) }
        try store.create(new.partial(SegmentName(names[0])!), bytes: [1])
        try store.create(new.key(for: ArchiveFileName(names[0] + ".00000028.backup")!), bytes: [1])
        try store.create(new.walFolder(TimelineID(1)).appending("0000000100000000").appending("README"), bytes: [1])
        try store.createFile(new.history(TimelineID(12)), bytes: Array("text".utf8))
        #expect(try archive.segments(timeline: TimelineID(1)) == names.compactMap(SegmentName.init).sorted())
        #expect(
            try archive.segments(timeline: TimelineID(1), from: SegmentName(names[0])!).map(\.description)
                == [names[0], names[1]])
        #expect(try archive.segments(timeline: TimelineID(3)) == [])
        #expect(try archive.timelines() == [TimelineID(1), TimelineID(12)])
        #expect(try archive.histories() == [TimelineID(12)])
        #expect(try archive.history(TimelineID(12)) == Array("text".utf8))
        #expect(try archive.history(TimelineID(2)) == nil)
    }
}

@Suite struct DigestTests {
    @Test func `digests are xxHash's own`() {
        // xxhsum -H2 of nothing and of "tidemark"
        #expect(Digest(of: [UInt8]()).description == "99aa06d3014798d86001c324468d497f")
        let digest = Digest(of: Array("tidemark".utf8))
        #expect(Digest(bytes: digest.bytes) == digest)
        #expect(Digest(digest.description) == digest)
        #expect(Digest("x") == nil)
    }

    @Test func `pieces and the whole give the same digest`() {
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var digester = Digester()
        bytes.withUnsafeBytes { all in
            for start in stride(from: 0, to: all.count, by: 777) {
                digester.update(UnsafeRawBufferPointer(rebasing: all[start..<min(start + 777, all.count)]))
            }
        }
        #expect(digester.finish() == Digest(of: bytes))
        digester.reset()
        #expect(digester.finish() == Digest(of: []))
    }
}
