import Testing
import WAL

/// One kind of damage to a segment, and the expected error.
struct Damage: Sendable, CustomTestStringConvertible {
    let name: String
    let offset: UInt64
    let says: String
    let apply: @Sendable (inout [UInt8]) -> Void
    var testDescription: String { name }

    init(_ name: String, offset: UInt64 = 0, says: String, apply: @escaping @Sendable (inout [UInt8]) -> Void) {
        self.name = name
        self.offset = offset
        self.says = says
        self.apply = apply
    }
}

private func put(_ value: UInt64, _ width: Int, at offset: Int, in bytes: inout [UInt8]) {
    for index in 0..<width { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
}

/// Segment …0F of the PostgreSQL 15 chain: nine records, then a segment switch at 0/F020A0.
private let name = "00000001000000000000000F"
private let firstRecord = 40

@Suite struct DamageTests {
    static let rows: [Damage] = [
        Damage("empty file", says: "It has 0 bytes, expected 8192.") { $0 = [] },
        Damage("cut in the middle of a page", says: "It has 1048476 bytes, expected 1048576.") { $0.removeLast(100) },
        Damage("one page short", says: "It has 1040384 bytes, expected 1048576.") { $0.removeLast(8192) },
        Damage("one page too long", says: "It has 1056768 bytes, expected 1048576.") {
            $0 += [UInt8](repeating: 0, count: 8192)
        },
        Damage("all zero", says: "Its first page has no WAL page header.") {
            $0 = [UInt8](repeating: 0, count: $0.count)
        },
        Damage("text", says: "Its first page has no WAL page header.") {
            $0 = [UInt8](repeating: UInt8(ascii: "x"), count: $0.count)
        },
        Damage("page of a newer version", says: "unknown version of PostgreSQL (page magic D120)") {
            put(0xD120, 2, at: 0, in: &$0)
        },
        Damage("short header on the first page", says: "flags 0000 are not possible") { put(0, 2, at: 2, in: &$0) },
        Damage("unknown page flag", says: "flags 0012 are not possible") { put(0x12, 2, at: 2, in: &$0) },
        Damage("another block size", says: "a WAL block size of 16384 bytes") { put(16384, 4, at: 36, in: &$0) },
        Damage("segment size that is no power of two", says: "states a segment size of 3145728 bytes") {
            put(3 << 20, 4, at: 32, in: &$0)
        },
        Damage("another segment size", says: "It has 1048576 bytes, expected 2097152.") {
            put(2 << 20, 4, at: 32, in: &$0)
        },
        Damage("another segment's first page", says: "The page's address is 0/01100000, expected 0/00F00000.") {
            put(0x1100000, 8, at: 8, in: &$0)
        },
        Damage("a newer timeline than the name", says: "The page's timeline is 2, expected 1.") {
            put(2, 4, at: 4, in: &$0)
        },
        Damage("another cluster", says: "Its system identifier is 1, expected 7") { put(1, 8, at: 24, in: &$0) },
        Damage("header padding", offset: 20, says: "The padding of the page's header is not zero.") { $0[21] = 1 },
        Damage("continuation that isn't one", says: "8 bytes of a record continue on it, expected 0.") {
            put(8, 4, at: 16, in: &$0)
        },
        Damage("record length", offset: 40, says: "A record cannot have 7 bytes.") {
            put(7, 4, at: firstRecord, in: &$0)
        },
        Damage("resource manager", offset: 40, says: "The record's resource manager 99 does not exist.") {
            $0[firstRecord + 17] = 99
        },
        Damage("prev link of the first record", offset: 40, says: "at 0/00F00000, which is not before it.") {
            put(0xF0_0000, 8, at: firstRecord + 8, in: &$0)
        },
        Damage("a bit in the record", offset: 40, says: "The record's CRC is ") { $0[firstRecord + 30] ^= 4 },
        Damage("second page's address", offset: 8192, says: "The page's address is 0/0A002000, expected 0/00F02000.") {
            put(0x0A00_2000, 8, at: 8192 + 8, in: &$0)
        },
        Damage("second page's magic", offset: 8192, says: "The page's magic number is D113, expected D110.") {
            put(0xD113, 2, at: 8192, in: &$0)
        },
        Damage("long header inside the segment", offset: 8192, says: "are not possible here") { $0[8194] |= 2 },
        Damage("abandoned, yet continued", offset: 8192, says: "26 bytes of a record continue on it, expected 0.") {
            $0[8194] = 12
        },
        Damage("second page lost", offset: 8192, says: "There are no records after this point.") {
            for at in 8192..<16384 { $0[at] = 0 }
        },
        Damage("records lost", offset: 40, says: "There are no records after this point.") {
            for at in 40..<8192 { $0[at] = 0 }
        },
    ]

    @Test(arguments: rows)
    func `damage is found and located`(_ damage: Damage) throws {
        var bytes = try FixtureChain.pg15.segment(name)
        let intact = try scan(bytes, name)
        #expect(intact.ending == .switch)
        damage.apply(&bytes)
        let error = #expect(throws: WALDamage.self) {
            try scan(bytes, name, systemIdentifier: intact.systemIdentifier)
        }
        let found = try #require(error)
        #expect("\(found)".contains(damage.says), "\(found)")
        #expect(found.offset == damage.offset || found.message.hasSuffix("size"), "\(found)")
        #expect(found.message.contains(name))
    }

    @Test func `any flipped bit in a segment is noticed`() throws {
        let bytes = try FixtureChain.pg15.segment("00000001000000000000000A")
        let intact = try scan(bytes, "00000001000000000000000A")
        var random = Pseudorandom(seed: 20_261_120)
        for _ in 0..<400 {
            let at = Int(random.next() % UInt64(bytes.count))
            let bit = UInt8(random.next() % 8)
            // The bit of a page that says nothing about it, and a page's timeline, which may rise.
            let inPage = at % 8192
            if inPage == 2 && bit == 2 || (4..<8).contains(inPage) { continue }
            var broken = bytes
            broken[at] ^= 1 << bit
            guard let summary = try? scan(broken, "00000001000000000000000A", systemIdentifier: intact.systemIdentifier)
            else { continue }
            // Damage in the fragments at both ends is found by the join.
            let fragments =
                summary.head?.bytes != intact.head?.bytes || summary.tail != intact.tail
                || summary.head?.missing != intact.head?.missing || summary.firstPrevious != intact.firstPrevious
            #expect(fragments, "offset \(at), bit \(bit)")
        }
    }

    @Test func `a damaged fragment breaks the join`() throws {
        let files = ["00000001000000000000000C", "00000001000000000000000D"]
        let summaries = try files.map { try scan(FixtureChain.pg15.segment($0), $0) }
        let head = try #require(summaries[1].head)
        try #require(head.length > 60)
        var bytes = try FixtureChain.pg15.segment(files[1])
        bytes[40 + 50] ^= 0x10
        let broken = try scan(bytes, files[1])
        let record = try #require(summaries[0].tail).lsn
        #expect(Continuity.join(summaries[0], broken) == .broken(BrokenLink(.recordCRC(record), segment: broken.start)))
    }

    @Test func `segments that aren't consecutive don't join`() throws {
        let chain = FixtureChain.pg15
        let a = try scan(chain.segment("000000010000000000000009"), "000000010000000000000009")
        let b = try scan(chain.segment("00000001000000000000000A"), "00000001000000000000000A")
        let c = try scan(chain.segment("00000001000000000000000B"), "00000001000000000000000B")
        guard case .joined = Continuity.join(a, b) else {
            Issue.record("not joined")
            return
        }
        #expect(Continuity.join(a, c) == .broken(BrokenLink(.gap(from: b.start, to: c.start), segment: c.start)))
        var stranger = b
        stranger.systemIdentifier += 1
        guard case .broken(let link) = Continuity.join(a, stranger), case .systemIdentifier = link.reason else {
            Issue.record("joined")
            return
        }
        var other = b
        other.head = nil
        guard case .broken(let lost) = Continuity.join(a, other), case .notContinued = lost.reason else {
            Issue.record("joined")
            return
        }
    }

    @Test(arguments: FixtureChain.main)
    func `a partial segment ends where the timeline was left`(_ chain: FixtureChain) throws {
        let expected = try chain.expected()
        let first = try #require(expected.files.first { $0.hasPrefix("00000002") })
        let old = "00000001" + first.dropFirst(8)
        let bytes = try chain.segment(old + ".partial")
        let summary = try scan(bytes, old, contents: .partial)
        let history = try TimelineHistory(timeline: TimelineID(2), file: chain.text("00000002.history"))
        let switchPoint = try #require(history.ancestors.first).switchPoint
        #expect(summary.end <= switchPoint)
        #expect(summary.ending == .zero || summary.ending == .stale)
        #expect(throws: WALDamage.self) { try scan(bytes, old) }
        // The new timeline's first segment starts with the same bytes.
        let new = try scan(chain.segment(first), first)
        #expect(new.firstTimeline == TimelineID(1))
        #expect(new.head == summary.head)
    }

    @Test func `arbitrary bytes give facts or an error`() throws {
        var random = Pseudorandom(seed: 7)
        let names = ["00000001000000000000000A", "00000001000000000000000D", "00000001000000000000000F"]
        let segments = try names.map { try FixtureChain.pg15.segment($0) }
        for round in 0..<150 {
            let pick = Int(random.next() % 3)
            var bytes = segments[pick]
            for _ in 0..<Int(random.next() % 20 + 1) {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 5 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: put(random.next(), min(8, bytes.count - at), at: at, in: &bytes)
                case 2:
                    let from = Int(random.next() % 128) * 8192
                    bytes.replaceSubrange(at / 8192 * 8192..<at / 8192 * 8192 + 8192, with: bytes[from..<from + 8192])
                case 3: for index in at..<min(at + 3000, bytes.count) { bytes[index] = 0 }
                default:
                    for index in at..<min(at + 60, bytes.count) {
                        bytes[index] = UInt8(truncatingIfNeeded: random.next())
                    }
                }
            }
            let contents: SegmentContents = round % 2 == 0 ? .completed : .partial
            if let summary = try? scan(bytes, round % 3 == 0 ? nil : names[pick], contents: contents) {
                let again = try SegmentSummary(decoding: summary.encode())
                #expect(again == summary)
            }
            var walk = RecordWalk(includingBlocks: true)
            walk.begin(try #require(SegmentName(names[pick])), length: UInt64(bytes.count), contents: contents)
            try? walk.feed(bytes.span.bytes) { _ in .more }
            try? walk.endSegment()
        }
    }
}

/// A small generator with the same numbers on every machine.
struct Pseudorandom {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
