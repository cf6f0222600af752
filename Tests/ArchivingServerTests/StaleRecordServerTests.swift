import Platform
import Repository
import Support
import Testing
import WAL

/// A segment of which little more than the first page's header was written, in a file with a valid record from its
/// earlier use exactly where that ends.
struct StaleRecord: Sendable, CustomTestStringConvertible {
    enum Written: String, CaseIterable, Sendable {
        /// The rest of the record that crosses the left boundary.
        case straddlingRecord
        /// The first page's header only: not even that record is complete.
        case header
    }
    enum Kind: String, CaseIterable, Sendable {
        case data
        /// With zeros after it the file looks like a finished segment.
        case segmentSwitch
    }
    enum Way: String, CaseIterable, Sendable {
        case push, pushBeforePredecessor, lookAhead, `import`, partial, partialBeforePredecessor
    }
    let written: Written
    let kind: Kind
    let way: Way
    var server = TestServer.v15
    var testDescription: String { "\(written), then a stale \(kind), by \(way), \(server)" }

    static let all = TestServer.samples(
        Written.allCases.flatMap { written in
            Kind.allCases.flatMap { kind in
                Way.allCases.map { StaleRecord(written: written, kind: kind, way: $0) }
            }
        }, isShort: { $0.way == .push || $0.way == .partial }, on: \.server)

    /// The file, and the offset after the record that crosses the left boundary.
    func file(_ whole: [UInt8], _ name: SegmentName) throws -> (bytes: [UInt8], first: Int) {
        let records = try EarlySegment.records(whole, name)
        let first = try #require(records.first).start
        var bytes = [UInt8](repeating: 0, count: whole.count)
        let end = written == .header ? 40 : first
        bytes.replaceSubrange(0..<end, with: whole[..<end])
        switch kind {
        case .data:
            let other = try #require(records.first { $0.start > 100_000 && $0.end % 8192 > $0.start % 8192 })
            bytes.replaceSubrange(first..<first + other.end - other.start, with: whole[other.start..<other.end])
        case .segmentSwitch:
            bytes[first] = 24
            bytes[first + 8] = 40
            bytes[first + 16] = 0x40
            EarlySegment.seal(&bytes, at: first)
        }
        return (bytes, first)
    }
}

@Suite struct StaleRecordServerTests {
    @Test(arguments: StaleRecord.all)
    func `a record that does not go on from the segment before is an end`(_ sample: StaleRecord) throws {
        let archive = try Archive(sample.server, settings: ["archive_jobs = \(sample.way == .lookAhead ? 2 : 1)"])
        let name = try #require(
            archive.origin.segments.dropFirst(2).dropLast().first { name in
                let whole = try Files.read(archive.origin.wal(name.description))
                return try whole[2] & 1 == 1
                    && (EarlySegment.records(whole, name).first.map { (200..<6000).contains($0.start) } ?? false)
            })
        let before = try #require(name.previous(segmentSize: 1 << 20))
        let (bytes, first) = try sample.file(Files.read(archive.origin.wal(name.description)), name)
        let start = name.start(segmentSize: 1 << 20)
        let wal = try ServerWAL(archive)
        let previous = try wal.put(before.description, Files.read(archive.origin.wal(before.description)))
        try wal.put("00000002.history", ServerWAL.history(leftAt: start + UInt64(first)), isReady: false)
        let isPartial = sample.way == .partial || sample.way == .partialBeforePredecessor
        let file = isPartial ? ArchiveFileName.partial(name) : .segment(name)
        let path = try wal.put(file.description, bytes, isReady: !isPartial)

        var said = ""
        switch sample.way {
        case .push, .partial:
            try archive.push(previous, expectSuccess: true)
            said = try archive.push(path, expectSuccess: true).errors
        case .pushBeforePredecessor, .partialBeforePredecessor:
            // It is still in pg_wal, where it can be read as well.
            said = try archive.push(path, expectSuccess: true).errors
            try archive.push(previous, expectSuccess: true)
        case .lookAhead:
            said = try archive.push(previous, expectSuccess: true).errors
            said += try archive.push(path, expectSuccess: true).errors
        case .import:
            said = try tidemark(["import", wal.directory, "--config", archive.configuration], expectSuccess: true)
                .errors
        }
        // PostgreSQL may archive a file again.
        try archive.push(path, expectSuccess: true)

        let end = sample.written == .header ? start : start + UInt64(first)
        let stored = try archive.archived.stored(file)
        let summary = try #require(try stored.summary())
        #expect(summary.end == end)
        #expect(summary.firstRecord == nil)
        #expect(summary.facts.records == 0)
        if !isPartial { #expect(said.contains("ends early at \(end)"), "\(said)") }
        let verified = try tidemark(["verify", "--wal", "--config", archive.configuration])
        #expect(verified.ending == .exited(0), "\(verified)")

        // A server that received all of it archives a longer copy; then its own has no more records.
        guard !isPartial, sample.way != .import else { return }
        let whole = try Files.read(archive.origin.wal(name.description))
        try archive.push(wal.put(name.description, whole), expectSuccess: true)
        #expect(try archive.archived.stored(name).contents == .completed)
        try archive.push(wal.put(name.description, bytes), expectSuccess: true)
    }

    @Test func `a segment that was refused is not said to be stored`() throws {
        let archive = try Archive(settings: ["archive_jobs = 1"])
        let name = archive.origin.segments[2]
        let whole = try Files.read(archive.origin.wal(name.description))
        let older = try Files.read(archive.origin.wal(archive.origin.segments[0].description))
        let wal = try ServerWAL(archive)
        // The previous segment, with a last record of another server.
        let before = try Files.read(archive.origin.wal(archive.origin.segments[1].description))
        let early = try EarlySegment(
            before, archive.origin.segments[1], older: older, end: .afterRecord, rest: .zeros)
        var switched = Array(before[..<early.written]) + [UInt8](repeating: 0, count: before.count - early.written)
        switched[early.written] = 24
        let last = try #require(EarlySegment.records(early.bytes, archive.origin.segments[1]).last).start
        let position = (archive.origin.segments[1].start(segmentSize: 1 << 20) + UInt64(last)).rawValue
        for index in 0..<8 { switched[early.written + 8 + index] = UInt8(truncatingIfNeeded: position >> (8 * index)) }
        switched[early.written + 16] = 0x40
        EarlySegment.seal(&switched, at: early.written)
        try archive.push(wal.put(archive.origin.segments[1].description, switched), expectSuccess: true)
        let left = try EarlySegment(whole, name, older: older, end: .afterRecord, rest: .zeros)
        try wal.put(
            "00000002.history",
            ServerWAL.history(leftAt: name.start(segmentSize: 1 << 20) + UInt64(left.written)), isReady: false)
        let refused = try archive.push(wal.put(name.description, left.bytes))
        #expect(refused.ending == .exited(1), "\(refused.errors)")
        #expect(refused.errors.contains("does not continue"), "\(refused.errors)")
        #expect(!refused.errors.contains("stored segment"), "\(refused.errors)")
    }
}
