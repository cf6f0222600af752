import Testing
import WAL

/// What lies behind the segment switch that ends a segment.
struct BehindSwitch: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let isTaken: Bool
    /// Changes the bytes from an offset on: right behind the switch, or behind what straddles into the segment.
    let apply: @Sendable (_ bytes: inout [UInt8], _ end: Int) throws -> Void

    init(_ name: String, isTaken: Bool = true, _ apply: @escaping @Sendable (inout [UInt8], Int) throws -> Void) {
        (testDescription, self.isTaken, self.apply) = (name, isTaken, apply)
    }

    static let older = "00000001000000000000000A"

    static let behindSwitch = [
        BehindSwitch("a byte on the same page") { bytes, _ in bytes[0x2FFF] = 1 },
        BehindSwitch("a byte on the last page") { bytes, _ in bytes[bytes.count - 1] = 1 },
        BehindSwitch("an older segment's pages, from the next page on") { bytes, end in
            let page = (end + 8191) / 8192 * 8192
            bytes.replaceSubrange(page..., with: try FixtureChain.pg15.segment(older)[page...])
        },
        BehindSwitch("zeros, then an older segment's pages") { bytes, _ in
            bytes.replaceSubrange(131_072..., with: try FixtureChain.pg15.segment(older)[131_072...])
        },
        BehindSwitch("nonsense") { bytes, end in
            for at in end..<bytes.count { bytes[at] = UInt8(truncatingIfNeeded: at &* 37) }
        },
    ]

    static let behindStraddling = [
        BehindSwitch("zeros, then an older segment's pages") { bytes, _ in
            bytes.replaceSubrange(131_072..., with: try FixtureChain.pg15.segment(older)[131_072...])
        },
        BehindSwitch("an older segment's pages, from the second one on") { bytes, _ in
            bytes.replaceSubrange(8192..., with: try FixtureChain.pg15.segment(older)[8192...])
        },
        BehindSwitch("a byte on the first page", isTaken: false) { bytes, _ in bytes[8000] = 1 },
        BehindSwitch("a page of the segment's own", isTaken: false) { bytes, _ in
            bytes.replaceSubrange(16384..<16424, with: bytes[0..<40])
            // The address of the third page.
            bytes[16384 + 8] = 0
            bytes[16384 + 9] = 0x40
        },
    ]
}

@Suite struct BehindSwitchTests {
    @Test(arguments: BehindSwitch.behindSwitch)
    func `whatever follows a segment switch, the segment is the same`(_ row: BehindSwitch) throws {
        let name = "00000001000000000000000F"
        var bytes = try FixtureChain.pg15.segment(name)
        let intact = try scan(bytes, name)
        #expect(intact.ending == .switch)
        try row.apply(&bytes, 0x20B8)
        for contents in [SegmentContents.completed, .partial] {
            let summary = try scan(bytes, name, contents: contents)
            #expect(summary == intact, "\(contents)")
        }
    }

    /// Nothing but the rest of the switch lies in the segment, at its start.
    @Test(arguments: BehindSwitch.behindStraddling)
    func `behind the rest of a straddling switch, older pages are nothing`(_ row: BehindSwitch) throws {
        let chain = FixtureChain.edges
        let names = try chain.expected().files
        let place = try #require(try names.firstIndex { try scan(chain.segment($0), $0).needsStraddlingSwitch })
        let intact = try scan(chain.segment(names[place]), names[place])
        var bytes = try chain.segment(names[place])
        try row.apply(&bytes, 64)
        let summary = try? scan(bytes, names[place])
        #expect(summary == (row.isTaken ? intact : nil))
        guard let summary else { return }
        let before = try scan(chain.segment(names[place - 1]), names[place - 1])
        guard case .joined = Continuity.join(before, summary) else {
            Issue.record("not joined")
            return
        }
    }
}
