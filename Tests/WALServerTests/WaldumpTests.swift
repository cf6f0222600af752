import Platform
import Support
import Testing
import WAL

/// Compares the reader with the server's own pg_waldump, over workloads made here.
@Suite(.serialized) struct WaldumpTests {
    struct Setup: Sendable, CustomTestStringConvertible {
        let server: TestServer
        let segmentMegabytes: Int
        let walLevel: String
        let compressions: [String]
        let promotes: Bool
        var testDescription: String { "\(server), \(segmentMegabytes) MB segments, wal_level \(walLevel)" }
    }

    // Debian's 15 knows all three methods; the wheel's servers are built with pglz only.
    static let setups = [
        Setup(
            server: .v15, segmentMegabytes: 1, walLevel: "replica", compressions: ["off", "pglz", "lz4", "zstd"],
            promotes: true),
        Setup(server: .v16, segmentMegabytes: 1, walLevel: "replica", compressions: ["off", "pglz"], promotes: true),
        Setup(server: .v18, segmentMegabytes: 1, walLevel: "logical", compressions: ["off", "pglz"], promotes: true),
        Setup(server: .v15, segmentMegabytes: 64, walLevel: "logical", compressions: ["zstd"], promotes: false),
        Setup(server: .v18, segmentMegabytes: 64, walLevel: "replica", compressions: ["pglz"], promotes: false),
    ]

    @Test(arguments: setups)
    func `records are what pg_waldump says`(_ setup: Setup) throws {
        let cluster = try TestCluster(
            setup.server,
            settings: [
                "wal_level": setup.walLevel, "max_prepared_transactions": "5", "archive_mode": "on",
                "autovacuum": "off", "timezone": "'UTC'", "max_wal_size": "\(setup.segmentMegabytes * 8)MB",
                "min_wal_size": "\(setup.segmentMegabytes * 2)MB", "archive_command": "'cp %p ../archive/%f'",
            ], initdb: ["--wal-segsize=\(setup.segmentMegabytes)"], start: false)
        let archive = cluster.directory + "/archive"
        try runAsServerUser("/bin/mkdir", [archive])
        try cluster.start()
        try Workload(cluster: cluster, compressions: setup.compressions).run()
        if setup.segmentMegabytes == 64 {
            // Across the boundary of a large segment.
            try cluster.psql(
                "create table filler as select g, repeat(md5(g::text), 60) t from generate_series(1, 25000) g")
        }
        if setup.promotes { try promote(cluster) }
        // The server's insert position is not used: the server begins the next segment at some later time.
        try cluster.psql("select pg_switch_wal()")
        try cluster.waitForArchiver()
        try cluster.stop()
        try compare(archive, setup, cluster)
    }

    private func promote(_ cluster: TestCluster) throws {
        try cluster.stop(mode: "immediate")
        try cluster.append(to: "postgresql.conf", ["restore_command = 'false'"])
        try runAsServerUser("/bin/sh", ["-c", ": > \"$1\"", "sh", cluster.data + "/standby.signal"])
        try cluster.start()
        try runAsServerUser(cluster.server.bin + "/pg_ctl", ["-D", cluster.data, "-w", "promote"])
        try cluster.psql("create table newer as select generate_series(1, 2000) i; drop table newer", database: "bench")
        try cluster.pgbench(["-c", "1", "-t", "50"], database: "bench")
    }

    private func compare(_ archive: String, _ setup: Setup, _ cluster: TestCluster) throws {
        let segments = try Files.list(archive).compactMap { SegmentName($0) }.sorted()
        let newest = try #require(segments.last).timeline
        // The newest timeline's history: where a segment exists on two, the newer one.
        let size = UInt32(setup.segmentMegabytes) << 20
        var chain: [UInt64: SegmentName] = [:]
        for segment in segments { chain[segment.number(segmentSize: size)] = segment }
        let path = chain.sorted { $0.key < $1.key }.map(\.value)
        try #require(path.count >= 2)

        let listed = try waldump(path, archive, newest, setup, cluster)
        var lines = Lines(bytes: Array(listed.utf8))
        var walk = RecordWalk(includingBlocks: true)
        var continuity = Continuity()
        var compared = 0
        var summed: UInt64 = 0
        for segment in path {
            let bytes = try Files.read(archive + "/\(segment)")
            var scanner = SegmentScanner(name: segment, length: UInt64(bytes.count))
            try scanner.feed(bytes.span.bytes)
            let summary = try scanner.finish()
            summed += summary.facts.records
            switch continuity.add(summary) {
            case .open: #expect(compared == 0)
            case .joined(let boundary): summed += boundary == nil ? 0 : 1
            case .broken(let link): Issue.record("\(segment): \(link)")
            }
            walk.begin(segment, length: UInt64(bytes.count))
            try walk.feed(bytes.span.bytes) { record in
                let line = lines.next()
                let wanted = Listing(record)
                guard wanted.matches(line) else {
                    Issue.record("pg_waldump: \(String(decoding: line, as: UTF8.self))\nhere: \(wanted)")
                    return .stop
                }
                compared += 1
                return .more
            }
            try walk.endSegment()
            if walk.isStopped { return }
        }
        #expect(compared > 5000)
        #expect(summed == UInt64(compared))
        // pg_waldump continues after the last segment; all records it lists must have been read here.
        #expect(lines.next().isEmpty)
    }

    /// pg_waldump's text for all segments, which it finds under the newest timeline's names.
    private func waldump(
        _ path: [SegmentName], _ archive: String, _ timeline: TimelineID, _ setup: Setup, _ cluster: TestCluster
    ) throws -> String {
        let links = cluster.directory + "/links"
        try runAsServerUser("/bin/mkdir", [links])
        for segment in path {
            try runAsServerUser("/bin/ln", ["-s", archive + "/\(segment)", links + "/\(segment.on(timeline))"])
        }
        let first = try #require(path.first).on(timeline)
        let last = try #require(path.last).on(timeline)
        return try runAsServerUser(
            setup.server.bin + "/pg_waldump", ["-p", links, "-t", "\(timeline)", "\(first)", "\(last)"],
            environment: ["TZ": "UTC"], expectSuccess: false
        ).output
    }
}

/// Iterates over a text's lines, without copying them all at once.
struct Lines {
    let bytes: [UInt8]
    private var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Empty at the end.
    mutating func next() -> ArraySlice<UInt8> {
        let end = bytes[at...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        defer { at = min(end + 1, bytes.count) }
        return bytes[at..<end]
    }
}

/// The expected line of pg_waldump for a record: how it starts, how it ends, and what it contains.
struct Listing: CustomStringConvertible {
    let start: String
    let blocks: String
    var contains: [String] = []
    var description: String { "\(start)…\(contains)…\(blocks)" }

    init(_ record: WALRecord) {
        let header = record.header
        start =
            "rmgr: \(left("\(header.manager)", 11)) len (rec/tot): \(right(header.length - record.imageBytes, 6))/"
            + "\(right(header.length, 6)), tx: \(right(header.xid, 10)), lsn: \(header.lsn), prev \(header.previous), "
            + "desc: "
        var text = ""
        for block in record.blocks {
            text += ", blkref #\(block.id): rel \(block.file)"
            switch block.fork {
            case .main: break
            case .freeSpace: text += " fork fsm"
            case .visibility: text += " fork vm"
            case .initial: text += " fork init"
            }
            text += " blk \(block.block)"
            switch block.image {
            case .none: break
            case .restored: text += " FPW"
            case .compared: text += " FPW for WAL verification"
            }
        }
        blocks = text
        say(record.kind)
    }

    private mutating func say(_ kind: RecordKind) {
        switch kind {
        case .commit(let end): say(end, end.isPrepared ? "COMMIT_PREPARED \(end.xid): " : "COMMIT ")
        case .abort(let end): say(end, end.isPrepared ? "ABORT_PREPARED \(end.xid): " : "ABORT ")
        case .prepare(let prepare): contains = ["PREPARE gid \(prepare.globalIdentifier): \(dumped(prepare.time))"]
        case .restorePoint(let point): contains = ["RESTORE_POINT \(point.name)"]
        case .checkpoint(let checkpoint):
            contains = [
                "CHECKPOINT_\(checkpoint.isShutdown ? "SHUTDOWN" : "ONLINE") redo \(short(checkpoint.redo)); "
                    + "tli \(checkpoint.timeline); prev tli \(checkpoint.previousTimeline); "
            ]
        case .backupEnd(let end): contains = ["BACKUP_END \(short(end.start))"]
        case .endOfRecovery(let change):
            contains = [
                "END_OF_RECOVERY tli \(change.timeline); prev tli \(change.previous); time \(dumped(change.time))"
            ]
        case .switchSegment: contains = ["desc: SWITCH"]
        case .checkpointRedo: contains = ["CHECKPOINT_REDO"]
        case .storageCreate(let file, _): contains = ["CREATE ", "/\(file.number)"]
        case .storageTruncate(let cut): contains = ["TRUNCATE ", "/\(cut.file.number) to \(cut.blocks) blocks"]
        case .databaseCreate(let creation):
            contains = [
                creation.copiedFrom == nil ? "CREATE_WAL_LOG create dir" : "CREATE_FILE_COPY copy dir",
                "\(creation.tablespace)/\(creation.database)",
            ]
        case .databaseDrop(let drop): contains = ["DROP dir"] + drop.tablespaces.map { "\($0)/\(drop.database)" }
        case .tablespaceCreate(let oid, let path): contains = ["CREATE \(oid) \"\(path)\""]
        case .locks(let locks):
            contains = locks.map { "xid \($0.xid) db \($0.database) rel \($0.relation) " }
        case .heapTruncate(let cut): contains = ["TRUNCATE"] + cut.relations.map { "\($0)" }
        case .parameterChange(let change): contains = ["PARAMETER_CHANGE max_connections=\(change.maxConnections) "]
        default: break
        }
    }

    private mutating func say(_ end: TransactionEnd, _ verb: String) {
        contains = ["desc: \(verb)\(dumped(end.time))"]
        if !end.removedFiles.isEmpty {
            contains.append("; rels:")
            contains += end.removedFiles.map { "/\($0.number)" }
        }
        if !end.subtransactions.isEmpty {
            contains.append("; subxacts:" + end.subtransactions.map { " \($0)" }.joined())
        }
        if !end.droppedStatistics.isEmpty {
            contains.append(
                "; dropped stats:" + end.droppedStatistics.map { " \($0.kind)/\($0.database)/\($0.object)" }.joined())
        }
    }

    func matches(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.starts(with: start.utf8), line.count >= start.utf8.count + blocks.utf8.count,
            line.suffix(blocks.utf8.count).elementsEqual(blocks.utf8)
        else { return false }
        if blocks.isEmpty, line.firstRange(of: Array(", blkref".utf8)) != nil { return false }
        return contains.allSatisfy { line.firstRange(of: Array($0.utf8)) != nil }
    }
}

private func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.utf8.count))
}
private func right(_ number: UInt32, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: " ", count: max(0, width - text.utf8.count)) + text
}
/// An LSN as descriptions show it before 19: no leading zeros.
private func short(_ lsn: LSN) -> String {
    String(lsn.rawValue >> 32, radix: 16, uppercase: true) + "/"
        + String(lsn.rawValue & 0xFFFF_FFFF, radix: 16, uppercase: true)
}
/// A time as descriptions show it: always six digits.
private func dumped(_ moment: Moment) -> String {
    var text = String(moment.description.dropLast(3))
    if !text.contains(".") { text += "." }
    while text.utf8.count < 26 { text += "0" }
    return text + " UTC"
}
