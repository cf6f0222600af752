import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

@Suite struct DirectoryStoreTests {
    @Test func `a directory keeps the promises of a store`() throws {
        let scratch = try Scratch()
        try StoreConformance(store: DirectoryStore(scratch.path)).check()
    }

    @Test func `temporaries are no objects`() throws {
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

@Suite struct RepositoryKeyTests {
    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", "../a", "a/..", "a/./b", ".hidden", "a/.hidden", "a\nb", "a\u{7F}",
        String(repeating: "x", count: 201),
    ])
    func `what could lead elsewhere is no key`(_ text: String) {
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

    @Test func `listings are in order and leave out strangers`() throws {
        let scratch = try Scratch()
        let store = DirectoryStore(scratch.path)
        let old = Incarnation(cluster: "main", major: 9, systemIdentifier: 1)
        let new = Incarnation(cluster: "main", major: 15, systemIdentifier: 1)
        for incarnation in [new, old] { try store.create(incarnation.marker, bytes: [1]) }
        try store.create(RepositoryKey("main/16-3/wal/00000001.history.zst")!, bytes: [1])
        #expect(try store.incarnations(of: "main") == [old, new])
        #expect(try store.clusters() == ["main"])

        let names = ["0000000100000000000000FF", "000000010000000100000000", "000000010000000000000003"]
        for name in names { try store.create(new.segment(SegmentName(name)!), bytes: [1]) }
        try store.create(new.partial(SegmentName(names[0])!), bytes: [1])
        try store.create(new.key(for: ArchiveFileName(names[0] + ".00000028.backup")!), bytes: [1])
        try store.create(new.walFolder(TimelineID(1)).appending("0000000100000000").appending("README"), bytes: [1])
        try store.createFile(new.history(TimelineID(12)), bytes: Array("text".utf8))
        #expect(try store.segments(of: new, timeline: TimelineID(1)) == names.compactMap(SegmentName.init).sorted())
        #expect(
            try store.segments(of: new, timeline: TimelineID(1), from: SegmentName(names[0])!).map(\.description)
                == [names[0], names[1]])
        #expect(try store.segments(of: new, timeline: TimelineID(3)) == [])
        #expect(try store.timelines(of: new) == [TimelineID(1), TimelineID(12)])
        #expect(try store.histories(of: new) == [TimelineID(12)])
        #expect(try store.history(TimelineID(12), of: new) == Array("text".utf8))
        #expect(try store.history(TimelineID(2), of: new) == nil)
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
