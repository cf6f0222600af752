import Platform
import Repository
import Support
import Testing
import WAL

/// The answers of an archive, whatever its store.
@Suite struct ClusterArchiveTests {
    private let store = MemoryStore()
    private let archive: ClusterArchive
    private var incarnation: Incarnation { archive.incarnation }
    private static let names = ["0000000100000000000000FF", "000000010000000100000000", "000000010000000100000001"]
        .compactMap(SegmentName.init)

    init() { archive = ClusterArchive(Incarnation(cluster: "main", major: 15, systemIdentifier: 7), in: store) }

    private func put(_ key: RepositoryKey, _ bytes: [UInt8], summary: [UInt8] = [], isLeft: Bool = false) throws {
        try store.createSegment(
            key, length: UInt64(bytes.count), presses: [SegmentPress(level: 1)],
            read: { buffer, offset in
                bytes.withUnsafeBytes { all in
                    let rest = UnsafeRawBufferPointer(rebasing: all[Int(offset)...].prefix(buffer.count))
                    buffer.copyMemory(from: rest)
                    return rest.count
                }
            }, inspect: { _ in },
            head: { SegmentHead(rawLength: UInt64(bytes.count), digest: $0, summary: summary, isLeft: isLeft) })
    }

    private func putHistory(_ timeline: TimelineID, _ text: String) throws {
        try store.createFile(archive.key(for: .history(timeline)), bytes: Array(text.utf8))
    }

    @Test func `the summary and the head of a segment; an empty summary is none`() throws {
        let fixture = "000000010000000000000009"
        let name = try #require(SegmentName(fixture))
        let bytes = try WALFixture.unpacked("pg15", fixture)
        var scanner = SegmentScanner(name: name, length: UInt64(bytes.count))
        try scanner.feed(bytes.span.bytes)
        let summary = try scanner.finish()
        try put(archive.key(for: .segment(name)), bytes, summary: summary.encode())
        try put(archive.key(for: .segment(Self.names[0])), [1, 2, 3])
        try put(archive.key(for: .segment(Self.names[1])), [1, 2, 3], summary: [255])

        #expect(try archive.summary(of: name) == summary)
        #expect(try archive.head(of: name).digest == Digest(of: bytes))
        #expect(try archive.summary(of: Self.names[0]) == nil)
        #expect(try archive.head(of: Self.names[0]).rawLength == 3)
        #expect(throws: BadSummary.self) { try archive.summary(of: Self.names[1]) }
        #expect(throws: ObjectAbsent.self) { try archive.summary(of: Self.names[2]) }
        #expect(throws: ObjectAbsent.self) { try archive.head(of: Self.names[2]) }
    }

    @Test func `copies whose heads cannot be read don't hide others`() throws {
        let file = ArchiveFileName.partial(Self.names[0])
        for number in [1, 2] { try store.create(archive.key(for: file, copy: number), bytes: [1, 2, 3]) }
        try put(archive.key(for: file, copy: 3), [1, 2, 3])
        let (copies, headless) = try archive.readableCopies(of: file)
        #expect(copies.map(\.key) == [archive.key(for: file, copy: 3)])
        #expect(headless.map(\.key) == [1, 2].map { archive.key(for: file, copy: $0) })
    }

    @Test func `a history is there, is not, or is damaged`() throws {
        let (good, absent, garbled) = (TimelineID(2), TimelineID(3), TimelineID(4))
        try putHistory(good, "1\t0/3000000\tno recovery target specified\n")
        try putHistory(garbled, "no history\n")
        #expect(try archive.timelineHistory(good)?.parent == TimelineID(1))
        #expect(try archive.timelineHistory(absent) == nil)
        #expect(throws: BadTimelineHistory.self) { try archive.timelineHistory(garbled) }
        #expect(try archive.readableHistory(good)?.parent == TimelineID(1))
        #expect(try archive.readableHistory(absent) == nil)
        #expect(try archive.readableHistory(garbled) == nil)
        #expect(try archive.history(garbled) == Array("no history\n".utf8))
        #expect(try archive.histories() == [good, garbled])
        #expect(try archive.readableHistories().keys.sorted() == [good])
    }

    @Test func `the files in the WAL folders, in order and without others`() throws {
        let timeline = TimelineID(1)
        for name in Self.names { try store.create(archive.key(for: .segment(name)), bytes: [1]) }
        let partial = ArchiveFileName.partial(Self.names[0])
        let label = ArchiveFileName.backupHistory(Self.names[2], offset: 0x28)
        try store.create(archive.key(for: partial), bytes: [1, 2])
        try store.create(archive.key(for: partial, copy: 2), bytes: [1, 2, 3])
        try store.create(archive.key(for: label), bytes: [1])
        let folders = try archive.walFolders(of: timeline)
        #expect(folders.map(\.name) == ["0000000100000000", "0000000100000001"])
        try store.create(folders[0].appending("README"), bytes: [1])

        let first = try archive.files(in: folders[0])
        #expect(first.map(\.entry.name) == first.map(\.entry.name).sorted())
        #expect(
            Set(first.map { "\($0.file) \($0.copy) \($0.entry.size ?? -1)" }) == [
                "\(Self.names[0]) 1 1", "\(partial) 1 2", "\(partial) 2 3",
            ])
        #expect(try archive.files(in: folders[1]).map(\.file).contains(label))
        #expect(try archive.files(in: folders[1], after: "\(Self.names[1]).zst").map(\.file).contains(label))
        #expect(
            try !archive.files(in: folders[1], after: "\(Self.names[1]).zst").map(\.file).contains(
                .segment(Self.names[1])))
        #expect(try archive.walFolders(of: TimelineID(9)) == [])

        #expect(try archive.timelines() == [timeline])
        #expect(try archive.segments(timeline: timeline) == Self.names)
        #expect(try archive.segments(timeline: timeline, from: Self.names[1]) == Array(Self.names[1...]))
        #expect(try archive.partials(timeline: timeline) == [Self.names[0]])
        #expect(try archive.partials(timeline: timeline, from: Self.names[1]) == [])
        for file in [partial, label, .segment(Self.names[0])] { #expect(try archive.has(file), "\(file)") }
        #expect(try !archive.has(.partial(Self.names[1])))
        #expect(try !archive.has(.history(timeline)))
    }

    @Test func `whether it was initialised, and whether the marker says so`() throws {
        #expect(try !archive.exists())
        #expect(try !archive.isConfirmed())
        try store.create(incarnation.marker, incarnation.sealedMarker)
        #expect(try archive.exists())
        #expect(try archive.isConfirmed())
        let other = ClusterArchive(Incarnation(cluster: "main", major: 15, systemIdentifier: 8), in: store)
        try store.create(other.incarnation.marker, incarnation.sealedMarker)
        #expect(try other.exists())
        #expect(throws: DamagedMarker.self) { try other.isConfirmed() }
    }

    @Test func `which backups are complete, and a pack of one`() throws {
        try store.create(incarnation.backupDescription("a"), bytes: [1])
        try store.create(incarnation.backup("b", "manifest.sqlite.zst"), bytes: [1])
        #expect(try archive.backups() == ["a", "b"])
        #expect(try archive.hasBackup("a"))
        #expect(try !archive.hasBackup("b"))
        #expect(throws: ObjectAbsent.self) { try archive.pack("a", PackName(1)) }
    }

    @Test func `WAL that was put aside is served on request only`() throws {
        let (two, name) = (TimelineID(2), "000000020000000000000003")
        let segment = try #require(SegmentName(name))
        #expect(try archive.restoringAside(two) == nil)
        let folder = incarnation.asideFolder.appending("20261120T081245Z-00000002.history")
        for file in [ArchiveFileName.history(two), .segment(segment)] {
            let key = AsideStore.place(archive.key(for: file), incarnation, in: folder)
            try store.createFile(key, bytes: Array("1\t0/3000000\tstray\n".utf8))
        }
        #expect(try archive.asideFolders().map(\.subject) == ["00000002.history"])
        #expect(try archive.segments(timeline: two) == [])
        let served = try #require(try archive.restoringAside(two))
        #expect(served.incarnation == incarnation)
        #expect(try served.segments(timeline: two) == [segment])
        #expect(try served.timelineHistory(two)?.parent == TimelineID(1))
        #expect(try archive.restoringAside(TimelineID(3)) == nil)
    }
}
