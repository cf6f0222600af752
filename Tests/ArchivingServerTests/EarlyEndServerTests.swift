import Platform
import Repository
import Support
import Testing
import WAL

/// A segment that ends early, and how it gets into the repository.
struct EarlyEnd: Sendable, CustomTestStringConvertible {
    enum Way: String, CaseIterable, Sendable {
        case pushWithHistoryBeside, pushWithHistoryInRepository, lookAhead, `import`
    }
    let end: EarlySegment.End
    let rest: EarlySegment.Rest
    let way: Way
    var server = TestServer.v15
    var testDescription: String { "\(end), then \(rest), by \(way), \(server)" }

    static let all = TestServer.samples(
        EarlySegment.End.allCases.flatMap { end in
            EarlySegment.Rest.allCases.flatMap { rest in Way.allCases.map { EarlyEnd(end: end, rest: rest, way: $0) } }
        }, isShort: { $0.way == .pushWithHistoryBeside }, on: \.server)
}

/// The switch point in the history, relative to the end of the segment's records.
struct SwitchPlace: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let isTaken: Bool
    /// From the segment's start and length, and the offset where its written part ends.
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
    private func early(
        _ archive: Archive, _ end: EarlySegment.End, _ rest: EarlySegment.Rest
    ) throws -> EarlySegment {
        let (name, origin) = (archive.origin.segments[2], archive.origin)
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
        let archive = try Archive(
            sample.server, settings: sample.way == .lookAhead ? ["archive_jobs = 2"] : ["archive_jobs = 1"])
        let name = archive.origin.segments[2]
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
            // Without a history the server might still be writing the segment.
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
            #expect(said.contains("contains no WAL of this segment"), "\(said)")
        } else {
            #expect(got.ending == .exited(0), "\(got.errors)")
            #expect(try Files.read(archive.scratch.file("got")) == early.bytes)
            let stored = try archive.archived.stored(name)
            #expect(stored.head.isLeft)
            let end = try #require(try stored.summary()).end
            let records = try EarlySegment.records(early.bytes, name)
            #expect(end == name.start(segmentSize: size) + UInt64(try #require(records.last).end))
            #expect(said.contains("ends early at \(end)"), "\(said)")
        }
        // PostgreSQL may archive a file again.
        try archive.push(path, expectSuccess: true)
        let verified = try verified(archive)
        #expect(verified.ending == .exited(0), "\(verified)")
    }

    @Test(arguments: SwitchPlace.all)
    func `the history must say that the timeline was left in the segment or before it`(_ place: SwitchPlace) throws {
        let archive = try Archive()
        let name = archive.origin.segments[2]
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
        let name = archive.origin.segments[2]
        let whole = try Files.read(archive.origin.wal(name.description))
        let start = name.start(segmentSize: UInt32(whole.count))
        let wal = try ServerWAL(archive)
        try wal.put("00000002.history", ServerWAL.history(leftAt: start + 900_000))
        var bytes = whole
        bytes[500_000] ^= 1
        let refused = try archive.push(wal.put(name.description, bytes))
        #expect(refused.ending == .exited(1), "\(refused.errors)")
        #expect(refused.errors.contains("is damaged at offset"), "\(refused.errors)")
        // The first page is damaged, the others are in place: it isn't a file made in advance.
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
        // A file made in advance, under the name of a much later segment.
        try runAsServerUser("/bin/cp", ["\(site.cluster.data)/pg_wal/\(name)", copy], expectSuccess: true)
        try runAsServerUser(
            "/bin/sh", ["-c", "printf '1\\t0/1000\\tstray\\n' > '\(site.cluster.data)/pg_wal/00000002.history'"],
            expectSuccess: true)
        let refused = try site.tidemark(["archive-push", copy])
        #expect(refused.ending == .exited(1), "\(refused.errors)")
        #expect(refused.errors.contains("is damaged at offset 8"), "\(refused.errors)")
        // It can't be told whether the server is a primary, nor what the history says.
        for file in ["global/pg_control", "00000002.history"] {
            let unknown = try site.tidemark(
                ["archive-push", copy], environment: ["TIDEMARK_FAULT": "open:\(file)=EIO"])
            #expect(unknown.ending == .exited(1), "\(unknown)")
            #expect(file.hasPrefix("global") == unknown.errors.contains("ERROR:  could not open file"), "\(unknown)")
        }
    }

    /// A server that was rewound, or recovered, away from a timeline archives WAL that it received on it. A segment's
    /// number is that of the server's current one; a history, where there is one, says where timeline 1 was left.
    struct Abandoned: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let timeline: Int
        /// Segments before the current one.
        var back = 0
        var leftAt: String?
        let isTaken: Bool

        static let onTheFirst = [
            Abandoned(testDescription: "of a timeline nobody knows", timeline: 2, isTaken: true),
            Abandoned(testDescription: "of one that left before", timeline: 2, leftAt: "0/1000", isTaken: true),
            Abandoned(testDescription: "of one the server may follow", timeline: 2, leftAt: "FF/0", isTaken: false),
            Abandoned(testDescription: "of its own", timeline: 1, isTaken: false),
        ]
        static let onTheSecond = [
            Abandoned(testDescription: "of its own, before that began", timeline: 2, back: 1, isTaken: true),
            Abandoned(testDescription: "of its own, since that began", timeline: 2, isTaken: false),
        ]
    }

    @Test func `a segment that ends early is taken from a timeline that the server isn't on`() throws {
        let site = try TestSite(settings: ["wal_keep_size": "64MB"], initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        @discardableResult func hand(over sample: Abandoned) throws -> String {
            try cluster.psql("insert into t select generate_series(1, 1000)")
            let current = try cluster.psql("select pg_walfile_name(pg_current_wal_insert_lsn())")
            let number = try #require(UInt32(current.dropFirst(16), radix: 16)) - UInt32(sample.back)
            let digits = String(number, radix: 16, uppercase: true)
            let other = "0000000\(sample.timeline)00000000" + String(repeating: "0", count: 8 - digits.count) + digits
            let place = sample.back == 0 ? "pg_walfile_name(pg_current_wal_insert_lsn())" : "'\(current)'"
            // Its own current segment in its present state: its records end, and zeros follow.
            let source =
                sample.back == 0
                ? try cluster.psql("select \(place)") : "00000001" + other.dropFirst(8)
            let folder = site.scratch.file("elsewhere\(Clock.now)")
            // As a file in a data directory with this server's control file.
            try runAsServerUser(
                "/bin/sh",
                [
                    "-c",
                    "mkdir -p \"$1/pg_wal\" \"$1/global\" && cp \"$2/PG_VERSION\" \"$1\" && cp \"$2/global/pg_control\" \"$1/global\" "
                        + "&& cp \"$2/pg_wal/\"*.history \"$1/pg_wal\" 2>/dev/null; head -c 300000 \"$2/pg_wal/$3\" >\"$1/pg_wal/$4\" && "
                        + "truncate -s 1048576 \"$1/pg_wal/$4\"", "sh", folder, cluster.data, String(source), other,
                ])
            if let point = sample.leftAt {
                try createDurably(
                    folder + "/pg_wal/00000002.history", bytes: Array("1\t\(point)\tso\n".utf8), mode: 0o644)
            }
            let pushed = try site.tidemark(["archive-push", "\(folder)/pg_wal/\(other)"])
            #expect((pushed.ending == .exited(0)) == sample.isTaken, "\(sample): \(pushed.errors)")
            return "\(folder)/pg_wal/\(other)"
        }
        try cluster.psql("create table t as select generate_series(1, 20000)")
        try site.archiveEverything()
        for sample in Abandoned.onTheFirst { try hand(over: sample) }
        try checkPutAside(site) { try hand(over: Abandoned.onTheFirst[1]) }
        try cluster.psql("select pg_switch_wal()")
        try cluster.stop()
        try runAsServerUser("/bin/sh", ["-c", "rm -rf '\(site.repository)' && touch '\(cluster.data)/standby.signal'"])
        try cluster.start()
        try runAsServerUser(cluster.server.bin + "/pg_ctl", ["-D", cluster.data, "-w", "promote"])
        try cluster.psql("checkpoint")
        try site.tidemark(["init"])
        for sample in Abandoned.onTheSecond { try hand(over: sample) }
    }

    /// Puts timeline 2 aside; its files that are archived afterwards go there, too, until its history is archived
    /// again.
    private func checkPutAside(_ site: TestSite, hand: () throws -> String) throws {
        func stored() throws -> [String] {
            try run("/usr/bin/find", [site.repository, "-path", "*/wal/00000002/*", "-type", "f"]).output
                .split(separator: "\n").map(String.init)
        }
        let first = try hand()
        let history = Files.parent(first) + "/00000002.history"
        try site.tidemark(["archive-push", history], expectSuccess: true)
        try site.tidemark(["segments", "put-aside", "00000002.history", "--yes"], expectSuccess: true)
        #expect(try !stored().isEmpty && stored().allSatisfy { $0.contains("/aside/") })
        let before = try stored().count
        try site.cluster.psql("select pg_switch_wal()")
        let second = try hand()
        let partial = second + ".partial"
        try runAsServerUser("/bin/cp", [second, partial])
        // Each is reported once, however often it is archived.
        var said = ""
        for file in [second, partial, partial] {
            let pushed = try site.tidemark(["archive-push", file])
            said += pushed.errors
            #expect(pushed.ending == .exited(0), "\(pushed.errors)")
        }
        #expect(
            try stored().count == before + 2 && stored().allSatisfy { $0.contains("/aside/") },
            "\(before) before; \((try? stored()) ?? []) \(said)")
        // So does its history, which every recovery to the latest timeline would follow again.
        let again = try site.tidemark(["archive-push", history], expectSuccess: true)
        #expect(again.errors.contains("\"00000002.history\" stays aside with its timeline"), "\(again)")
        #expect(try run("/usr/bin/find", [site.repository, "-name", "00000002.history*"]).output.contains("/aside/"))
        let segments = try site.tidemark(["segments"])
        #expect(!segments.output.contains("00000002") && !segments.errors.contains("00000002"), "\(segments)")
        try site.tidemark(["segments", "put-back", "00000002.history", "--yes"], expectSuccess: true)
        #expect(try stored().count == before + 2 && stored().allSatisfy { !$0.contains("/aside/") })
        try site.cluster.psql("select pg_switch_wal()")
        _ = try hand()
        #expect(try stored().count == before + 3 && stored().allSatisfy { !$0.contains("/aside/") })
    }
}
