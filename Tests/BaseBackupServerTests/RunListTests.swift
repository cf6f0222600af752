import Support
import Testing

@testable import Backups

/// The places of a file's bytes, as a manifest stores them.
@Suite struct RunListTests {
    private static func decoded(_ list: [UInt8]) throws -> [StoredRun] {
        var decoder = try RunList.Decoder(list)
        var runs: [StoredRun] = []
        while let run = try decoder.next() { runs.append(run) }
        #expect(decoder.reach == runs.reduce(0) { $0 + $1.length })
        return runs
    }

    /// Length, frame, place.
    private static func runs(_ parts: [(Int64, Int64, Int64)]) -> [StoredRun] {
        var offset: Int64 = 0
        return parts.map { length, frame, place in
            defer { offset += length }
            return StoredRun(offset: offset, length: length, frame: frame, frameOffset: place)
        }
    }

    static let page = RunList.pageUnit
    /// According to docs/repository.md, byte by byte.
    private static let known: [(runs: [StoredRun], list: [UInt8])] = [
        // One run of 5 bytes at the start of frame 1 counts as continuing there.
        (runs([(5, 1, 0)]), [2, 11, 2]),
        (runs([(5, 1, 3)]), [2, 10, 2, 3]),
        // Two pages of frame 3, zeros, the next page of frame 3, a page of frame 2 at its second.
        (
            runs([(2 * page, 3, 0), (page, 0, 0), (page, 3, 2 * page), (page, 2, page)]),
            [9, 5, 6, 2, 5, 3, 0, 2, 1, 1]
        ),
        // 300 bytes of frame 200.
        (runs([(300, 200, 130)]), [2, 0xD8, 0x04, 0x90, 0x03, 0x82, 0x01]),
    ]

    @Test func `lists have the form that the page describes`() throws {
        for (runs, list) in Self.known {
            #expect(RunList.encode(runs) == list, "\(runs)")
            #expect(try Self.decoded(list) == runs, "\(list)")
        }
    }

    @Test(arguments: 0..<60) func `a list is read back as it was written`(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let unit = seed % 2 == 0 ? Self.page : 1
        // Few frames are continued often; many aren't.
        let frames = Int64([3, 50, 100_000][Int(seed % 3)])
        var ends: [Int64: Int64] = [:]
        var parts: [(Int64, Int64, Int64)] = []
        for _ in 0..<Int.random(in: 1...2000, using: &random) {
            let frame = Int64.random(in: 0...frames, using: &random)
            let length = Int64.random(in: 1...128, using: &random) * unit
            let goesOn = Bool.random(using: &random)
            var place = frame == 0 ? 0 : goesOn ? ends[frame] ?? 0 : Int64.random(in: 0...128, using: &random) * unit
            if place + length > RunList.largestFrame { place = 0 }
            ends[frame] = place + length
            parts.append((length, frame, place))
        }
        let runs = Self.runs(parts)
        #expect(try Self.decoded(RunList.encode(runs)) == runs)
    }

    @Test func `a run that continues another one after very many has its place`() throws {
        var parts: [(Int64, Int64, Int64)] = [(1, 7, 0)]
        for number in 0..<200_000 { parts.append((1, Int64(8 + number % 70_000), 0)) }
        parts.append((1, 7, 1))
        parts += [(1, 9, 0), (1, 7, 2)]
        let runs = Self.runs(parts)
        #expect(try Self.decoded(RunList.encode(runs)) == runs)
    }

    /// Lists that no encoder writes.
    private static let bad: [(list: [UInt8], says: String)] = [
        ([], "ends too early"), ([0], "has no runs"), ([1], "has no runs"), ([2], "ends too early"),
        ([2, 11], "ends too early"), ([2, 10, 2], "ends too early"), ([2, 0x8B], "ends too early"),
        ([2, 11, 2, 0], "has something after its last run"), ([4, 11, 2], "ends too early"),
        // Of length 0; of a frame before the first; zeros that continue.
        ([2, 1, 2], "impossible"), ([2, 11, 1], "impossible"), ([2, 11, 0], "impossible"),
        // Numbers beyond all bounds.
        ([2] + [UInt8](repeating: 0xFF, count: 9) + [1, 2], "impossible"),
        ([2] + [UInt8](repeating: 0xFF, count: 7) + [0x7F, 2], "impossible"),
        ([3] + [UInt8](repeating: 0xFF, count: 7) + [0x7F, 0], "impossible"),
        ([2, 11] + [UInt8](repeating: 0xFE, count: 7) + [0x7F], "impossible"),
        ([2, 10, 2] + [UInt8](repeating: 0xFF, count: 7) + [0x7F], "impossible"),
        // Two runs of zeros that reach beyond the largest file.
        (
            [4] + [UInt8](repeating: 0x80, count: 7) + [0x20, 0] + [UInt8](repeating: 0x80, count: 7) + [0x20, 0],
            "impossible"
        ),
        // A run that is longer than any frame, and one that continues beyond it.
        ([3, 0x83, 0x80, 0x01, 2], "impossible"), ([5, 0x81, 0x80, 0x01, 2, 0x81, 0x80, 0x01, 0], "impossible"),
    ]

    @Test func `a list that can't have been written is refused`() {
        for (list, says) in Self.bad {
            let error = #expect(throws: BadRunList.self, "\(list)") { try Self.decoded(list) }
            #expect(error?.reason.contains(says) == true, "\(list): \(error?.reason ?? "")")
        }
    }
}
