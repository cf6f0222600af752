import Platform
import Repository
import Support
import Testing
import WAL

/// Two copies of one segment, and what is stored of them.
struct TwoCopies: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable {
        /// One object is enough: neither has a record that the other lacks.
        case one
        /// The second copy has more records than the first, or fewer.
        case longest
        /// Each has records that the other contradicts.
        case contradiction
    }
    let name: String
    let outcome: Outcome
    let isPartial: Bool
    let isReversed: Bool
    var server = TestServer.v15
    /// Both, the shorter one first, made from the whole segment and an older one's bytes.
    let make: @Sendable ([UInt8], SegmentName, [UInt8]) throws -> ([UInt8], [UInt8])
    var testDescription: String {
        "\(isPartial ? ".partial" : "segment"): \(name)\(isReversed ? ", reversed" : ""), \(server)"
    }

    private static func early(
        _ whole: [UInt8], _ name: SegmentName, _ older: [UInt8], _ end: EarlySegment.End, _ rest: EarlySegment.Rest
    ) throws -> [UInt8] {
        try EarlySegment(whole, name, older: older, end: end, rest: rest).bytes
    }

    /// Cut after the first record that ends at or after `offset`; zeros follow.
    private static func cut(_ whole: [UInt8], _ name: SegmentName, at offset: Int) throws -> [UInt8] {
        let end = try #require(EarlySegment.records(whole, name).first { $0.end >= offset }).end
        return whole[..<end] + [UInt8](repeating: 0, count: whole.count - end)
    }

    typealias Make = @Sendable ([UInt8], SegmentName, [UInt8]) throws -> ([UInt8], [UInt8])

    private static func both(_ name: String, _ outcome: Outcome, _ make: @escaping Make) -> [TwoCopies] {
        [false, true].flatMap { isPartial in
            [false, true].map {
                TwoCopies(name: name, outcome: outcome, isPartial: isPartial, isReversed: $0, make: make)
            }
        }
    }

    static let all = TestServer.samples(forms, isShort: { $0.isReversed && !$0.isPartial }, on: \.server)

    private static let forms: [TwoCopies] =
        both("the same records, with zeros and with older pages after them", .one) { whole, name, older in
            let zeros = try early(whole, name, older, .afterRecord, .zeros)
            return (zeros, try early(whole, name, older, .afterRecord, .olderPages))
        }
        + both("one with fewer records", .longest) { whole, name, _ in
            (try cut(whole, name, at: 200_000), try cut(whole, name, at: 700_000))
        }
        + both("one that ends inside a record of the other", .longest) { whole, name, older in
            (try early(whole, name, older, .insideRecord, .olderPages), try cut(whole, name, at: 900_000))
        }
        + both("one that was completed", .longest) { whole, name, older in
            (try early(whole, name, older, .afterRecord, .olderPages), whole)
        }
        + both("one with a single record", .longest) { whole, name, _ in
            (try cut(whole, name, at: 1), try cut(whole, name, at: 500_000))
        }
        + both("one that ends inside a record, and the complete one", .longest) { whole, name, older in
            (try early(whole, name, older, .insideRecord, .zeros), whole)
        }
        + both("two that differ after the end of the shorter one", .longest) { whole, name, _ in
            (try cut(whole, name, at: 200_000), try cut(contradicted(whole, name), name, at: 600_000))
        }
        + both("two that contradict each other", .contradiction) { whole, name, _ in
            (try cut(contradicted(whole, name), name, at: 600_000), try cut(whole, name, at: 700_000))
        }

    private static func contradicted(_ whole: [UInt8], _ name: SegmentName) throws -> [UInt8] {
        try EarlySegment.contradicting(whole, name, at: 300_000)
    }
}

@Suite struct SegmentCopiesServerTests {
    @Test(arguments: TwoCopies.all)
    func `two copies conflict only where the records of both differ`(_ sample: TwoCopies) throws {
        let archive = try Archive(sample.server, settings: ["archive_jobs = 1"])
        let origin = archive.origin
        let name = origin.segments[2]
        let whole = try Files.read(origin.wal(name.description))
        var (first, second) = try sample.make(whole, name, Files.read(origin.wal(origin.segments[0].description)))
        let longer = second
        if sample.isReversed { swap(&first, &second) }
        let wal = try ServerWAL(archive)
        let start = name.start(segmentSize: UInt32(whole.count))
        try wal.put("00000002.history", ServerWAL.history(leftAt: start + 100_000))
        let file = sample.isPartial ? ArchiveFileName.partial(name) : .segment(name)

        try archive.push(wal.put(file.description, first), expectSuccess: true)
        let original = try archive.contents()
        let pushed = try archive.push(wal.put(file.description, second))
        let copies = try archive.archived.copies(of: file)
        for (index, copy) in copies.enumerated() {
            #expect(copy.key.name == "\(file.description)\(index == 0 ? "" : ".\(index + 1)").zst")
            #expect(ArchiveFileName.object(copy.key.name)?.copy == index + 1)
        }
        // In every case, existing objects are unchanged.
        for (path, digest) in original { #expect(try archive.contents()[path] == digest, "\(path)") }
        switch sample.outcome {
        case .one:
            #expect(pushed.ending == .exited(0), "\(pushed.errors)")
            #expect(copies.count == 1)
        case .longest:
            #expect(pushed.ending == .exited(0), "\(pushed.errors)")
            #expect(copies.count == (sample.isReversed ? 1 : 2))
            let best = try archive.archived.stored(file)
            #expect(best.head.digest == Digest(of: longer))
        case .contradiction where sample.isPartial:
            #expect(pushed.ending == .exited(0), "\(pushed.errors)")
            #expect(pushed.errors.contains("next to one with other records"), "\(pushed.errors)")
            #expect(Set(copies.map(\.head.digest)) == [Digest(of: first), Digest(of: second)])
        case .contradiction:
            #expect(pushed.ending == .exited(1), "\(pushed.errors)")
            #expect(pushed.errors.contains("before the end of the valid records"), "\(pushed.errors)")
            #expect(copies.count == 1)
        }
        // Archiving them again confirms both, unless they contradict the archived one.
        try archive.push(wal.put(file.description, first), expectSuccess: true)
        if pushed.ending == .exited(0) {
            try archive.push(wal.put(file.description, second), expectSuccess: true)
            #expect(try archive.archived.copies(of: file).count == copies.count)
        }
        let got = try archive.get(name.description, to: archive.scratch.file("got"))
        #expect(got.ending == .exited(sample.isPartial ? 1 : 0), "\(got.errors)")
        if sample.outcome == .longest, !sample.isPartial {
            #expect(try Files.read(archive.scratch.file("got")) == longer)
        }
        let verified = try tidemark(["verify", "--wal", "--config", archive.configuration])
        #expect(verified.ending == .exited(0), "\(verified)")
    }

    /// A server that was promoted archives the `.partial`, and the one that it came from may archive the segment.
    @Test(arguments: TwoCopies.all.filter { $0.isPartial && $0.server == .v15 })
    func `a segment and a .partial of it are stored next to each other, and the one with more records is read`(
        _ sample: TwoCopies
    ) throws {
        let archive = try Archive(sample.server, settings: ["archive_jobs = 1"])
        let origin = archive.origin
        let name = origin.segments[2]
        let whole = try Files.read(origin.wal(name.description))
        let (shorter, longer) = try sample.make(whole, name, Files.read(origin.wal(origin.segments[0].description)))
        let (segment, partial) = sample.isReversed ? (longer, shorter) : (shorter, longer)
        let wal = try ServerWAL(archive)
        let start = name.start(segmentSize: UInt32(whole.count))
        try wal.put("00000002.history", ServerWAL.history(leftAt: start + 100_000))
        var files: [(ArchiveFileName, [UInt8])] = [(.segment(name), segment), (.partial(name), partial)]
        for _ in 1...2 {
            for (file, bytes) in files {
                let before = try archive.contents()
                let pushed = try archive.push(wal.put(file.description, bytes))
                #expect(pushed.ending == .exited(0), "\(file): \(pushed)")
                for (path, digest) in before { #expect(try archive.contents()[path] == digest, "\(path)") }
            }
            files.reverse()
        }
        for (file, bytes) in files {
            let copies = try archive.archived.copies(of: file)
            #expect(copies.map(\.head.digest) == [Digest(of: bytes)], "\(file)")
        }
        try archive.get(name.description, to: archive.scratch.file("got"), expectSuccess: true)
        let read = try Files.read(archive.scratch.file("got"))
        #expect(read == (sample.outcome == .longest ? longer : segment))
        let verified = try tidemark(["verify", "--wal", "--config", archive.configuration])
        #expect(verified.ending == .exited(0), "\(verified)")
    }

    @Test(arguments: [false, true])
    func `a copy whose records can't be read is confirmed only by the same bytes`(isPartial: Bool) throws {
        let archive = try Archive(settings: ["archive_jobs = 1"])
        let origin = archive.origin
        let name = origin.segments[2]
        // The pages of an unknown version (XLOG_PAGE_MAGIC).
        func unknown(_ change: (inout [UInt8]) -> Void) throws -> [UInt8] {
            var bytes = try Files.read(origin.wal(name.description))
            for page in stride(from: 0, to: bytes.count, by: 8192) { bytes[page...page + 1] = [0xFF, 0xD1] }
            change(&bytes)
            return bytes
        }
        let wal = try ServerWAL(archive)
        let start = name.start(segmentSize: 1 << 20)
        try wal.put("00000002.history", ServerWAL.history(leftAt: start + 100_000))
        let (first, second) = (try unknown { _ in }, try unknown { $0[200_000] ^= 1 })
        let file = isPartial ? ArchiveFileName.partial(name) : .segment(name)
        try archive.push(wal.put(file.description, first), expectSuccess: true)
        try archive.push(wal.put(file.description, first), expectSuccess: true)
        let pushed = try archive.push(wal.put(file.description, second))
        #expect(pushed.ending == .exited(isPartial ? 0 : 1), "\(pushed)")
        let copies = try archive.archived.copies(of: file).map(\.head.digest)
        #expect(Set(copies) == (isPartial ? [Digest(of: first), Digest(of: second)] : [Digest(of: first)]))
    }

    /// A copy that can't be read at the moment contradicts nothing, and its content isn't guessed.
    @Test(arguments: [true, false]) func `a failure to read a copy is no conflict`(isStored: Bool) throws {
        var struck = 0
        for number in 1...12 {
            let archive = try Archive(settings: ["archive_jobs = 1"])
            let name = archive.origin.segments[2]
            let whole = try Files.read(archive.origin.wal(name.description))
            let wal = try ServerWAL(archive)
            let start = name.start(segmentSize: UInt32(whole.count))
            try wal.put("00000002.history", ServerWAL.history(leftAt: start + 100_000))
            let early = try EarlySegment(
                whole, name, older: Files.read(archive.origin.wal(archive.origin.segments[0].description)),
                end: .afterRecord, rest: .zeros)
            try archive.push(wal.put(name.description, early.bytes), expectSuccess: true)
            let path = try wal.put(name.description, whole)
            let object = isStored ? "\(name).zst" : "server/pg_wal/\(name)"
            let pushed = try archive.push(path, fault: "read:\(object)#\(number)=EIO")
            guard pushed.errors.contains("fault: ") else { continue }
            struck += 1
            if pushed.ending != .exited(0) {
                #expect(pushed.ending == .exited(1), "\(number): \(pushed)")
                #expect(pushed.errors.contains("Input/output error"), "\(number): \(pushed)")
                #expect(!pushed.errors.contains("different contents"), "\(number): \(pushed)")
            }
            try archive.push(path, expectSuccess: true)
            #expect(try archive.archived.head(of: name).digest == Digest(of: whole))
        }
        #expect(struck > 2)
    }

    /// Without the WAL before it, a file's earlier content can't be distinguished from its records.
    @Test(arguments: [true, false])
    func `a file that may end early is stored, and contradicts nothing, while the WAL before it can't be read`(
        isPartial: Bool
    ) throws {
        let archive = try Archive(settings: ["archive_jobs = 1"])
        let origin = archive.origin
        let (before, name) = (origin.segments[1], origin.segments[2])
        let whole = try Files.read(origin.wal(name.description))
        let older = try Files.read(origin.wal(origin.segments[0].description))
        let early = try EarlySegment(whole, name, older: older, end: .afterRecord, rest: .zeros).bytes
        let other = try EarlySegment(
            EarlySegment.contradicting(whole, name, at: 50_000), name, older: older, end: .afterRecord, rest: .zeros
        ).bytes
        let wal = try ServerWAL(archive)
        let start = name.start(segmentSize: UInt32(whole.count))
        try wal.put("00000002.history", ServerWAL.history(leftAt: start + 100_000))
        try archive.push(origin.wal(before.description), expectSuccess: true)
        let file = isPartial ? ArchiveFileName.partial(name) : .segment(name)
        let fault = "read:\(before).zst=EIO"

        let stored = try archive.push(wal.put(file.description, early), fault: fault, expectSuccess: true)
        #expect(stored.errors.contains("continues the one before it"), "\(stored)")
        #expect(stored.errors.contains("Input/output error"), "\(stored)")
        let path = try wal.put(file.description, other)
        let unknown = try archive.push(path, fault: fault)
        #expect(unknown.ending == .exited(isPartial ? 0 : 1), "\(unknown)")
        if !isPartial {
            #expect(unknown.errors.contains("Input/output error"), "\(unknown)")
            #expect(!unknown.errors.contains("different contents"), "\(unknown)")
            let refused = try archive.push(path)
            #expect(refused.ending == .exited(1) && refused.errors.contains("different contents"), "\(refused)")
        }
        let verified = try tidemark(["verify", "--wal", "--config", archive.configuration])
        #expect(verified.ending == .exited(0), "\(verified)")
    }

    @Test func `a history in other words is the same one, and another history is not`() throws {
        let archive = try Archive()
        let wal = try ServerWAL(archive)
        try archive.push(
            wal.put("00000002.history", Array("1\t0/3000000\tno recovery target specified\n".utf8)),
            expectSuccess: true)
        try archive.push(
            wal.put("00000002.history", Array("# promoted\n1\t0/3000000\tafter a failover\n\n".utf8)),
            expectSuccess: true)
        let other = try archive.push(wal.put("00000002.history", Array("1\t0/3000008\tother\n".utf8)))
        #expect(other.ending == .exited(1), "\(other.errors)")
        #expect(other.errors.contains("put-aside 00000002.history"), "\(other.errors)")
        let got = archive.scratch.file("got")
        try archive.get("00000002.history", to: got, expectSuccess: true)
        #expect(try Files.readText(got) == "1\t0/3000000\tno recovery target specified\n")
    }
}
