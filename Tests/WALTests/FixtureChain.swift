import FoundationEssentials
import Support
import Testing
import WAL

/// pg_waldump's output for a chain (Fixtures/README.md).
struct Expected: Decodable {
    struct Transaction: Decodable {
        let xid: UInt32, time: String, lsn: String, nsubxacts: Int?, dropped: [String]?, prepared: Bool?
    }
    struct Drop: Decodable { let lsn: String, xid: UInt32, rels: [String], stats: [[UInt64]]?, kind: String }
    struct Prepare: Decodable { let lsn: String, time: String?, xid: UInt32, gid: String? }
    struct Point: Decodable { let lsn: String, name: String }
    struct Checkpoint: Decodable { let lsn: String, redo: String, tli: UInt32, shutdown: Bool }
    struct BackupEnd: Decodable { let lsn: String, start: String }
    struct Truncate: Decodable { let lsn: String, rel: String, toBlock: UInt32 }
    struct Described: Decodable { let lsn: String, desc: String }
    struct Switch: Decodable { let lsn: String, tli: UInt32, prevTli: UInt32, time: String }

    let files: [String]
    let records: Int
    let blockReferences: Int
    let rmgrCounts: [String: Int]
    let commits: [Transaction], aborts: [Transaction]
    let prepares: [Prepare]
    let drops: [Drop]
    let restorePoints: [Point]
    let checkpoints: [Checkpoint]
    let backupEnds: [BackupEnd]
    let switches: [String]
    let smgrTruncates: [Truncate]
    let smgrCreates: Int
    let dbCreates: [Described], dbDrops: [Described], tablespaces: [Described], relmapUpdates: [Described]
    let timelineSwitches: [Switch]
    let parameterChanges: [Described]
    let overwriteContrecords: [Described]
    let heapTruncates: [Described]
    let blocks: [String: String]
}

/// A folder of fixture segments, unpacked.
struct FixtureChain: CustomTestStringConvertible {
    let folder: String
    let chain: String
    var testDescription: String { folder }

    static let all = [
        FixtureChain(folder: "pg12", chain: "main"), FixtureChain(folder: "pg13", chain: "main"),
        FixtureChain(folder: "pg14", chain: "main"), FixtureChain(folder: "pg15", chain: "main"),
        FixtureChain(folder: "pg16", chain: "main"), FixtureChain(folder: "pg17", chain: "main"),
        FixtureChain(folder: "pg18", chain: "main"), FixtureChain(folder: "pg15-edges", chain: "edges"),
        FixtureChain(folder: "pg12-contrecord", chain: "contrecord"),
        FixtureChain(folder: "pg15-contrecord", chain: "contrecord"),
        FixtureChain(folder: "pg18-contrecord", chain: "contrecord"),
    ]
    static let main = all.filter { $0.chain == "main" }
    static let pg15 = all[3]
    static let edges = all[7]

    func expected() throws -> Expected {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Expected.self, from: Data(WALFixture.file(folder, "\(chain).expected.json")))
    }

    func text(_ name: String) throws -> String { String(decoding: try WALFixture.file(folder, name), as: UTF8.self) }

    func segment(_ name: String) throws -> [UInt8] { try WALFixture.unpacked(folder, name) }

    func recordLines() throws -> [Substring] {
        String(decoding: try WALFixture.unpacked(folder, "\(chain).records.tsv"), as: UTF8.self).split(separator: "\n")
    }
}

/// Scans bytes as a segment.
func scan(
    _ bytes: [UInt8], _ name: String? = nil, contents: SegmentContents = .completed, window: Int = 131_072,
    systemIdentifier: UInt64? = nil
) throws(WALDamage) -> SegmentSummary {
    var scanner = SegmentScanner(
        name: name.flatMap { SegmentName($0) }, length: UInt64(bytes.count), contents: contents,
        systemIdentifier: systemIdentifier)
    var at = 0
    while at < bytes.count {
        let next = min(at + window, bytes.count)
        try scanner.feed(bytes.span.bytes.extracting(at..<next))
        at = next
    }
    return try scanner.finish()
}

/// All records of consecutive segments.
func walk(_ segments: [(name: String, bytes: [UInt8])], blocks: Bool = false) throws -> [WALRecord] {
    var records: [WALRecord] = []
    var walk = RecordWalk(includingBlocks: blocks)
    for (name, bytes) in segments {
        let name = try #require(SegmentName(name))
        walk.begin(name, length: UInt64(bytes.count))
        try walk.feed(bytes.span.bytes) {
            records.append($0)
            return .more
        }
        try walk.endSegment()
    }
    return records
}
