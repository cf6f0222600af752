import Platform
import Repository
import Support
import Testing
import WAL

/// A segment that ends early, and the way it comes to tidemark.
struct EarlyEnd: Sendable, CustomTestStringConvertible {
    enum Way: String, CaseIterable, Sendable {
        case pushWithHistoryBeside, pushWithHistoryInRepository, lookAhead, `import`
    }
    let end: EarlySegment.End
    let rest: EarlySegment.Rest
    let way: Way
    var testDescription: String { "\(end), then \(rest), by \(way)" }

    static let all = EarlySegment.End.allCases.flatMap { end in
        EarlySegment.Rest.allCases.flatMap { rest in Way.allCases.map { EarlyEnd(end: end, rest: rest, way: $0) } }
    }
}

/// Where the history says the timeline was left, seen from where the segment's records end.
struct SwitchPlace: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let isTaken: Bool
    /// From the segment's start, its length, and the offset where what was written ends.
    let offset: @Sendable (UInt64, UInt64) -> Int64

    static let all = [
        SwitchPlace(testDescription: "at the end of the records", isTaken: true) { _, written in Int64(written) },
        SwitchPlace(testDescription: "after records that were never received", isTaken: true) { _, written in
            Int64(written) + 50_000
        },
        SwitchPlace(testDescription: "before records that nobody followed", isTaken: true) { _, written in
            Int64(written) - 50_000
        },
        SwitchPlace(testDescription: "at the segment's start", isTaken: true) { _, _ in 0 },
        SwitchPlace(testDescription: "at the segment's end", isTaken: true) { size, _ in Int64(size) },
        SwitchPlace(testDescription: "in the segment before", isTaken: true) { _, _ in -1000 },
        SwitchPlace(testDescription: "in the next segment", isTaken: false) { size, _ in Int64(size) + 1000 },
    ]
}

@Suite struct EarlyEndServerTests {
    private let segment = Result { try FinishedCluster.shared.get().segments[2] }

    private func early(
        _ archive: Archive, _ end: EarlySegment.End, _ rest: EarlySegment.Rest
    ) throws -> EarlySegment {
        let (name, origin) = (try segment.get(), archive.origin)
        return try EarlySegment(
            Files.read(origin.wal(name.description)), name,
            older: Files.read(origin.wal(origin.segments[0].description)), end: end, rest: rest)
    }

    private func verified(_ archive: Archive) throws -> Finished {
        try tidemark(["verify", "--wal", "--config", archive.configuration])
    }

    @Test(arguments: EarlyEnd.all)
    func `a segment that ends early is taken when a history says that its timeline was left`(
        _ sample: EarlyEnd
    ) throws {
        let archive = try Archive(settings: sample.way == .lookAhead ? ["archive_jobs = 2"] : ["archive_jobs = 1"])
        let name = try segment.get()
        let early = try early(archive, sample.end, sample.rest)
        let size = UInt32(early.bytes.count)
        let history = ServerWAL.history(leftAt: name.start(segmentSize: size) + UInt64(early.written))
        let wal = try ServerWAL(archive)
        let before = archive.origin.segments[1].description
        try wal.put(before, Files.read(archive.origin.wal(before)))
        let path = try wal.put(name.description, early.bytes)

        var said: String
        switch sample.way {
        case .pushWithHistoryBeside:
            // Without a history it might be a segment that is still being written.
            let refused = try archive.push(path)
            #expect(refused.ending == .exited(1), "\(refused.errors)")
            try wal.put("00000002.history", history, isReady: false)
            said = try archive.push(path, expectSuccess: true).errors
        case .pushWithHistoryInRepository:
            try archive.push(
                try archive.copy(before, as: "00000002.history") { $0 = history }, expectSuccess: true)
            said = try archive.push(path, expectSuccess: true).errors
        case .lookAhead:
            try wal.put("00000002.history", history, isReady: false)
            said = try archive.push("\(wal.directory)/\(before)", expectSuccess: true).errors
            said += try archive.push(path, expectSuccess: true).errors
        case .import:
            try wal.put("00000002.history", history, isReady: false)
            let imported = try tidemark(["import", wal.directory, "--config", archive.configuration])
            #expect(imported.ending == .exited(0), "\(imported)")
            said = imported.errors
        }

        let got = try archive.get(name.description, to: archive.scratch.file("got"))
        if sample.end == .nothing {
            #expect(got.ending == .exited(1), "\(got.errors)")
            #expect(said.contains("holds no WAL of this segment"), "\(said)")
        } else {
            #expect(got.ending == .exited(0), "\(got.errors)")
            #expect(try Files.read(archive.scratch.file("got")) == early.bytes)
            let stored = try archive.store.stored(name, of: archive.origin.incarnation)
            #expect(stored.head.isLeft)
            let end = try #require(try stored.summary()).end
            let records = try EarlySegment.records(early.bytes, name)
            #expect(end == name.start(segmentSize: size) + UInt64(try #require(records.last).end))
            #expect(said.contains("ends early at \(end)"), "\(said)")
        }
        // PostgreSQL hands over again what it isn't sure of.
        try archive.push(path, expectSuccess: true)
        let verified = try verified(archive)
        #expect(verified.ending == .exited(0), "\(verified)")
    }

    @Test(arguments: SwitchPlace.all)
    func `the history must say that the timeline was left in the segment or before it`(_ place: SwitchPlace) throws {
        let archive = try Archive()
        let name = try segment.get()
        let early = try early(archive, .afterRecord, .olderPages)
        let size = UInt64(early.bytes.count)
        let start = Int64(bitPattern: name.start(segmentSize: UInt32(size)).rawValue)
        let wal = try ServerWAL(archive)
        try wal.put(
            "00000002.history",
            ServerWAL.history(leftAt: LSN(UInt64(start + place.offset(size, UInt64(early.written))))))
        let pushed = try archive.push(wal.put(name.description, early.bytes))
        #expect((pushed.ending == .exited(0)) == place.isTaken, "\(pushed.errors)")
    }

    @Test func `a damaged record is no end, whatever a history says`() throws {
        let archive = try Archive()
        let name = try segment.get()
        let whole = try Files.read(archive.origin.wal(name.description))
        let start = name.start(segmentSize: UInt32(whole.count))
        let wal = try ServerWAL(archive)
        try wal.put("00000002.history", ServerWAL.history(leftAt: start + 900_000))
        var bytes = whole
        bytes[500_000] ^= 1
        let refused = try archive.push(wal.put(name.description, bytes))
        #expect(refused.ending == .exited(1), "\(refused.errors)")
        #expect(refused.errors.contains("is damaged at offset"), "\(refused.errors)")
        // The first page spoilt, the others in place: not a file made in advance.
        bytes = whole
        bytes.replaceSubrange(0..<8192, with: [UInt8](repeating: 0, count: 8192))
        let zeroed = try archive.push(wal.put(name.description, bytes))
        #expect(zeroed.ending == .exited(1), "\(zeroed.errors)")
    }

    @Test func `a primary has not left its timeline, whatever a history says`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.archiveEverything()
        let name = try site.cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        let copy = site.cluster.data + "/pg_wal/00000001000000FF000000FE"
        // A file made in advance, under a name that will come much later.
        try runAsServerUser("/bin/cp", ["\(site.cluster.data)/pg_wal/\(name)", copy], expectSuccess: true)
        try runAsServerUser(
            "/bin/sh", ["-c", "printf '1\\t0/1000\\tstray\\n' > '\(site.cluster.data)/pg_wal/00000002.history'"],
            expectSuccess: true)
        let refused = try site.tidemark(["archive-push", copy])
        #expect(refused.ending == .exited(1), "\(refused.errors)")
        #expect(refused.errors.contains("is damaged at offset 8"), "\(refused.errors)")
    }
}
