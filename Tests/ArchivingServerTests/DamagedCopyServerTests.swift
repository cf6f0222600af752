import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// Objects of one segment, some of them damaged, and what is read then.
struct DamagedCopies: Sendable, CustomTestStringConvertible {
    enum Kind: Sendable { case segment, partial, segmentAndPartial }
    enum Spot: Sendable { case head, body }
    /// What is delivered: the content with fewer or with more records; nothing where one can't be read that has more.
    enum Outcome: Sendable { case shorter, longer, nothing }
    let kind: Kind
    /// What is damaged of the object with fewer records, and of the one with more.
    let shorter: Spot?
    let longer: Spot?
    let outcome: Outcome
    var testDescription: String {
        let (shorter, longer) = (shorter.map { "\($0)" } ?? "nothing", longer.map { "\($0)" } ?? "nothing")
        return "\(kind), damaged of the shorter: \(shorter), of the longer: \(longer)"
    }

    init(_ kind: Kind, _ shorter: Spot?, _ longer: Spot?, _ outcome: Outcome) {
        (self.kind, self.shorter, self.longer, self.outcome) = (kind, shorter, longer, outcome)
    }

    static let all = [
        DamagedCopies(.segment, nil, nil, .longer), DamagedCopies(.segment, .head, nil, .longer),
        DamagedCopies(.segment, .body, nil, .longer), DamagedCopies(.segment, nil, .head, .nothing),
        DamagedCopies(.segment, nil, .body, .nothing), DamagedCopies(.segment, .head, .head, .nothing),
        DamagedCopies(.partial, .head, nil, .longer), DamagedCopies(.partial, .body, nil, .longer),
        DamagedCopies(.partial, nil, .head, .shorter), DamagedCopies(.partial, nil, .body, .nothing),
        DamagedCopies(.partial, .head, .head, .nothing), DamagedCopies(.segmentAndPartial, nil, nil, .longer),
        DamagedCopies(.segmentAndPartial, nil, .head, .shorter),
        DamagedCopies(.segmentAndPartial, nil, .body, .nothing),
        DamagedCopies(.segmentAndPartial, .head, nil, .nothing),
    ]
}

@Suite struct DamagedCopyServerTests {
    @Test(arguments: DamagedCopies.all)
    func `a damaged copy hides no other one, unless it is known to have more records`(_ sample: DamagedCopies) throws {
        let archive = try Archive(settings: ["archive_jobs = 1"])
        let origin = archive.origin
        let name = origin.segments[2]
        let whole = try Files.read(origin.wal(name.description))
        func cut(at offset: Int) throws -> [UInt8] {
            let end = try #require(EarlySegment.records(whole, name).first { $0.end >= offset }).end
            return whole[..<end] + [UInt8](repeating: 0, count: whole.count - end)
        }
        let (shorter, longer) = (try cut(at: 200_000), try cut(at: 700_000))
        let wal = try ServerWAL(archive)
        let start = name.start(segmentSize: UInt32(whole.count))
        try wal.put("00000002.history", ServerWAL.history(leftAt: start + 100_000))
        let first = sample.kind == .partial ? ArchiveFileName.partial(name) : .segment(name)
        let second = sample.kind == .segment ? ArchiveFileName.segment(name) : .partial(name)
        try archive.push(wal.put(first.description, shorter), expectSuccess: true)
        try archive.push(wal.put(second.description, longer), expectSuccess: true)
        let incarnation = archive.archived.incarnation
        let keys = (incarnation.key(for: first), incarnation.key(for: second, copy: first == second ? 2 : 1))
        for (key, spot) in [(keys.0, sample.shorter), (keys.1, sample.longer)] {
            guard let spot else { continue }
            let path = archive.store.path(key)
            let file = try Descriptor(open: path, O_RDWR)
            let offset: Int64 = try spot == .head ? 60 : #require(try FileStatus(ofLinkItself: path)).size / 2
            try [UInt8](repeating: 0xA5, count: 4).withUnsafeBytes { try file.write($0, at: offset, path: path) }
        }

        let destination = archive.scratch.file("got")
        let got = try archive.get(first.description, to: destination)
        switch sample.outcome {
        case .nothing:
            #expect(got.ending == .exited(200), "\(got)")
            #expect(got.errors.contains("is damaged"), "\(got)")
            #expect(try !Files.exists(destination))
        case .shorter, .longer:
            #expect(got.ending == .exited(0), "\(got)")
            #expect(try Files.read(destination) == (sample.outcome == .longer ? longer : shorter))
        }
        // What is damaged is told all the same.
        let verified = try tidemark(["verify", "--wal", "--config", archive.configuration])
        let isSound = sample.shorter == nil && sample.longer == nil
        #expect(verified.ending == .exited(isSound ? 0 : 3), "\(verified)")
    }
}
