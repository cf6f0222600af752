import CChecksum
import Glibc
import Testing
import WAL

/// What copies of a cluster replay in place of CREATE TABLESPACE.
@Suite struct TablespaceConfinementTests {
    @Test(arguments: getenv("TIDEMARK_SOAK") == nil ? [FixtureChain.pg15] : FixtureChain.main)
    func `only tablespaces' places differ in what a copy replays`(_ chain: FixtureChain) throws {
        let expected = try chain.expected()
        let segments = try expected.files.map { ($0, try chain.segment($0)) }
        var confined: [(name: String, bytes: [UInt8])] = []
        var tail: TailFragment?
        for (name, bytes) in segments {
            confined.append((name, try confine(name, bytes, after: tail.map { [$0] } ?? [])))
            tail = try scan(bytes, name).tail
        }
        var made = 0
        for (old, new) in zip(try walk(segments), try walk(confined)) {
            let (before, after) = (old.header, new.header)
            #expect(before.lsn == after.lsn && before.length == after.length && before.xid == after.xid)
            #expect(before.previous == after.previous && before.manager == after.manager)
            guard case .tablespaceCreate(let oid, let path) = old.kind else {
                #expect(before.crc == after.crc)
                continue
            }
            made += 1
            #expect(path.hasPrefix("/"))
            #expect(new.kind == .tablespaceCreate(oid: oid, path: ""))
        }
        #expect(made == expected.tablespaces.filter { $0.desc.contains("CREATE") }.count)
        #expect(made > 0)
        let told = try segments.flatMap { try scan($0.1, $0.0).facts.tablespaceCreations }
        #expect(told.allSatisfy { $0.location.hasPrefix("/") } && told.count <= made)
    }

    /// A segment is delivered before the next one is known: wherever the record is cut, the halves must match.
    @Test(arguments: [40, 300], [false, true])
    func `a record in two segments is replayed as one, wherever it is cut`(_ pathLength: Int, hasOrigin: Bool) throws {
        let path = "/" + String(repeating: "p", count: pathLength - 1)
        var forms: Set<String> = []
        for cut in [8, 16, 24, 32, 40, 64] {
            let log = TwoSegments(cut: cut, path: path, hasOrigin: hasOrigin)
            let tail = try #require(try scan(log.first, TwoSegments.names[0]).tail)
            #expect(tail.length == cut)
            var other = tail
            other.bytes?[0] ^= 1
            let first = try confine(TwoSegments.names[0], log.first)
            let second = try confine(TwoSegments.names[1], log.second, after: [other, tail])
            // The summary of the previous segment may be wrong or missing.
            for noted in [[other], []] {
                #expect(try confine(TwoSegments.names[1], log.second, after: noted, content: [tail]) == second)
            }
            // A continuation of another record is not changed, unless it shows its kind itself.
            for known in [[other], []] {
                if cut < 24 {
                    #expect(throws: WALDamage.self) { try confine(TwoSegments.names[1], log.second, after: known) }
                } else {
                    #expect(try confine(TwoSegments.names[1], log.second, after: known) == log.second)
                }
            }
            var kinds: [RecordKind] = []
            var walk = RecordWalk()
            for (name, bytes) in zip(TwoSegments.names, [first, second]) {
                walk.begin(try #require(SegmentName(name)), length: UInt64(bytes.count), contents: .partial)
                try walk.feed(bytes.span.bytes) {
                    kinds.append($0.kind)
                    return .more
                }
            }
            try #require(kinds.count == 3, "cut after \(cut) bytes")
            switch kinds[1] {
            case .tablespaceCreate(let oid, let path):
                #expect(oid == 16_500 && path == "")
                forms.insert("in place")
            default: forms.insert("nothing")
            }
            #expect(first == (cut < 24 ? log.first : first))
            // A second time, nothing changes.
            let again = try scan(first, TwoSegments.names[0]).tail.map { [$0] } ?? []
            #expect(try confine(TwoSegments.names[0], first) == first)
            #expect(try confine(TwoSegments.names[1], second, after: again) == second)
        }
        #expect(forms == ["in place", "nothing"])
    }

    /// A shorter record has no room for a tablespace's OID; a longer one is written by no server, and bytes after the
    /// path could hide its kind.
    @Test func `a record in two segments of a length that no server writes is refused, and ends nothing`() throws {
        var (replayed, refused) = (0, 0)
        for length in Array(0...8) + [1100, 2019, 2020, 3000, 70_000] {
            for cut in [8, 16, 24, 32] where cut < 24 + length {
                var body = [UInt8](repeating: 0, count: length)
                let data = length - (length > 257 ? 5 : 2)
                if length > 257 {
                    body.replaceSubrange(
                        0..<5, with: [0xFE, UInt8(data & 255), UInt8(data >> 8 & 255), UInt8(data >> 16), 0])
                    body.replaceSubrange(9..<11, with: Array("/x".utf8))
                } else if length >= 2 {
                    body.replaceSubrange(0..<2, with: [0xFF, UInt8(data)])
                }
                let log = TwoSegments(cut: cut, body: body)
                let tail = try #require(try scan(log.first, TwoSegments.names[0]).tail)
                let answers = [
                    try? confine(TwoSegments.names[0], log.first),
                    try? confine(TwoSegments.names[1], log.second, after: [tail]),
                ]
                // In neither case does a copy get the path.
                if answers.contains(nil) { refused += 1 } else { replayed += 1 }
                let isPossible = (30...2048).contains(24 + length)
                #expect(answers.contains(nil) != isPossible, "\(length) bytes, cut after \(cut)")
            }
        }
        // More than any segment holds, so no zeros are written for it.
        for cut in [24, 32] {
            let log = TwoSegments(cut: cut, body: [0xFE, 0, 0, 0, 0x38, 1, 0, 0, 0, 0x2F, 0], announced: 0x3800_0000)
            #expect(throws: WALDamage.self, "cut after \(cut)") { try confine(TwoSegments.names[0], log.first) }
        }
        #expect(replayed > 0 && refused > 0)
    }

    /// - Parameters:
    ///   - tails: the parts of the record that continues in the segment, from summaries.
    ///   - content: the same from the segments themselves, if different.
    private func confine(
        _ name: String, _ bytes: [UInt8], after tails: [TailFragment] = [], content: [TailFragment]? = nil
    ) throws -> [UInt8] {
        var confinement = TablespaceConfinement(
            try #require(SegmentName(name)), length: UInt64(bytes.count), contents: .partial)
        var at = 0
        while at < bytes.count {
            try confinement.feed(bytes.span.bytes.extracting(at..<min(at + 65_536, bytes.count)))
            at += 65_536
        }
        var result = bytes
        for patch in try confinement.patches(before: { $0 == .content ? content ?? tails : tails }) {
            result.replaceSubrange(patch.offset..<patch.offset + patch.bytes.count, with: patch.bytes)
        }
        return result
    }
}

/// Two segments of PostgreSQL 15 with three records: one that fills the first up to `cut` bytes from its end, the
/// creation of a tablespace, and another.
private struct TwoSegments {
    static let names = ["000000010000000000000002", "000000010000000000000003"]
    private static let size = 1 << 20
    private(set) var first = [UInt8](repeating: 0, count: size)
    private(set) var second = [UInt8](repeating: 0, count: size)
    private var position = 0
    private var previous: UInt64 = 0

    init(cut: Int, path: String, hasOrigin: Bool) {
        let oid = withUnsafeBytes(of: UInt32(16_500).littleEndian) { Array($0) }
        let data = oid + Array(path.utf8) + [0]
        self.init(cut: cut, body: (hasOrigin ? [0xFD, 1, 0] : []) + TwoSegments.body(data))
    }

    /// - Parameters:
    ///   - body: of the record that creates the tablespace, after its header.
    ///   - announced: the length in the record's header, if it is a wrong one.
    init(cut: Int, body: [UInt8], announced: UInt32? = nil) {
        let room = 8192 - 40 + 127 * (8192 - 24)
        let filler = [UInt8](repeating: 0, count: room - cut - 24 - 5)
        add(manager: 0, info: 0x20, body: TwoSegments.body(filler))
        add(manager: 5, info: 0, body: body, announced: announced)
        add(manager: 0, info: 0x20, body: TwoSegments.body([1, 2, 3]))
        // The pages after the last record aren't written yet.
    }

    private static func body(_ data: [UInt8]) -> [UInt8] {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        return (data.count <= 255 ? [0xFF, UInt8(data.count)] : [0xFE] + bytes(UInt32(data.count))) + data
    }

    private mutating func add(manager: UInt8, info: UInt8, body: [UInt8], announced: UInt32? = nil) {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        var record =
            bytes(announced ?? UInt32(24 + body.count)) + bytes(UInt32(731)) + bytes(previous) + [info, manager, 0, 0]
        var crc = tidemark_crc32c(0xFFFF_FFFF, body, body.count)
        crc = ~tidemark_crc32c(crc, record, 20)
        record += bytes(crc) + body
        if position % 8192 == 0 { header(missing: 0) }
        previous = UInt64(2 * TwoSegments.size + position)
        var rest = record[...]
        while !rest.isEmpty {
            if position % 8192 == 0 { header(missing: rest.count) }
            let piece = rest.prefix(8192 - position % 8192)
            put(Array(piece))
            rest = rest.dropFirst(piece.count)
        }
        put([UInt8](repeating: 0, count: (8 - record.count % 8) % 8))
    }

    private mutating func header(missing: Int) {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        let isLong = position % TwoSegments.size == 0
        let flags: UInt16 = (missing > 0 ? 1 : 0) | (isLong ? 2 : 0)
        let address = UInt64(2 * TwoSegments.size + position)
        put(bytes(UInt16(0xD110)) + bytes(flags) + bytes(UInt32(1)) + bytes(address) + bytes(UInt32(missing)))
        put([0, 0, 0, 0])
        if isLong { put(bytes(UInt64(7)) + bytes(UInt32(TwoSegments.size)) + bytes(UInt32(8192))) }
    }

    private mutating func put(_ bytes: [UInt8]) {
        if position < TwoSegments.size {
            first.replaceSubrange(position..<position + bytes.count, with: bytes)
        } else {
            let at = position - TwoSegments.size
            second.replaceSubrange(at..<at + bytes.count, with: bytes)
        }
        position += bytes.count
    }
}
