import Testing
import WAL

/// A history with segments of 0x1000 bytes: switch points are such that 0x4000 is the start of
/// segment 4.
struct Descent: Sendable, CustomTestStringConvertible {
    let name: String
    let ancestors: [(timeline: UInt32, left: UInt64)]
    let newest: UInt32
    /// The timelines whose files hold segments 1 to 8.
    let files: String
    /// `timeline/segment<switch point` of the files that hold the beginning of another one, oldest first.
    var substitutes: [String] = []
    var testDescription: String { name }

    var history: TimelineHistory {
        TimelineHistory(
            timeline: TimelineID(newest),
            ancestors: ancestors.map { .init(timeline: TimelineID($0.timeline), switchPoint: LSN($0.left)) })
    }
    var lineage: Lineage { Lineage(history, segmentSize: 0x1000) }
}

private let descents = [
    Descent(name: "no fork", ancestors: [], newest: 1, files: "11111111"),
    Descent(name: "a timeline without a history", ancestors: [], newest: 7, files: "77777777"),
    Descent(
        name: "one fork inside a segment", ancestors: [(1, 0x40A0)], newest: 2, files: "11122222",
        substitutes: ["1/4<40A0"]),
    Descent(
        name: "one fork at a segment's last byte", ancestors: [(1, 0x4FFF)], newest: 2, files: "11122222",
        substitutes: ["1/4<4FFF"]),
    Descent(
        name: "one fork at a segment's first byte but one", ancestors: [(1, 0x4001)], newest: 2, files: "11122222",
        substitutes: ["1/4<4001"]),
    Descent(
        name: "one fork on a border", ancestors: [(1, 0x5000)], newest: 2, files: "11112222",
        substitutes: ["1/5<5000"]),
    Descent(
        name: "two forks in one segment", ancestors: [(1, 0x40A0), (2, 0x40F0)], newest: 3, files: "11133333",
        substitutes: ["1/4<40A0", "2/4<40F0"]),
    Descent(
        name: "two forks at one position", ancestors: [(1, 0x40A0), (2, 0x40A0)], newest: 3, files: "11133333",
        substitutes: ["1/4<40A0", "2/4<40A0"]),
    Descent(
        name: "three forks in one segment", ancestors: [(1, 0x4010), (2, 0x4020), (3, 0x4030)], newest: 4,
        files: "11144444", substitutes: ["1/4<4010", "2/4<4020", "3/4<4030"]),
    Descent(
        name: "three forks at one position", ancestors: [(1, 0x4010), (2, 0x4010), (3, 0x4010)], newest: 4,
        files: "11144444", substitutes: ["1/4<4010", "2/4<4010", "3/4<4010"]),
    Descent(
        name: "two forks in neighbouring segments", ancestors: [(1, 0x30F8), (2, 0x4090)], newest: 3,
        files: "11233333", substitutes: ["1/3<30F8", "2/4<4090"]),
    Descent(
        name: "three forks in neighbouring segments", ancestors: [(1, 0x30F8), (2, 0x4090), (3, 0x5090)], newest: 4,
        files: "11234444", substitutes: ["1/3<30F8", "2/4<4090", "3/5<5090"]),
    Descent(
        name: "two forks with a segment between them", ancestors: [(1, 0x30F8), (2, 0x5090)], newest: 3,
        files: "11223333", substitutes: ["1/3<30F8", "2/5<5090"]),
    Descent(
        name: "two forks on one border", ancestors: [(1, 0x5000), (2, 0x5000)], newest: 3, files: "11113333",
        substitutes: ["1/5<5000", "2/5<5000"]),
    Descent(
        name: "two forks on neighbouring borders", ancestors: [(1, 0x4000), (2, 0x5000)], newest: 3,
        files: "11123333", substitutes: ["1/4<4000", "2/5<5000"]),
    Descent(
        name: "a fork on a border and one in the segment after it", ancestors: [(1, 0x4000), (2, 0x4090)], newest: 3,
        files: "11133333", substitutes: ["1/4<4000", "2/4<4090"]),
    Descent(
        name: "a fork inside a segment and one at its end", ancestors: [(1, 0x4090), (2, 0x5000)], newest: 3,
        files: "11123333", substitutes: ["1/4<4090", "2/5<5000"]),
    Descent(
        name: "two forks in one segment and one in the next", ancestors: [(1, 0x4010), (2, 0x4020), (3, 0x5010)],
        newest: 4, files: "11134444", substitutes: ["1/4<4010", "2/4<4020", "3/5<5010"]),
    Descent(
        name: "one fork and two in the next segment", ancestors: [(1, 0x4010), (2, 0x5010), (3, 0x5020)],
        newest: 4, files: "11124444", substitutes: ["1/4<4010", "2/5<5010", "3/5<5020"]),
    Descent(
        name: "two forks on one border and one in the segment after it",
        ancestors: [(1, 0x5000), (2, 0x5000), (3, 0x5090)], newest: 4, files: "11114444",
        substitutes: ["1/5<5000", "2/5<5000", "3/5<5090"]),
    Descent(
        name: "a fork inside a segment, one at its end and one in the next",
        ancestors: [(1, 0x4090), (2, 0x5000), (3, 0x5010)], newest: 4, files: "11124444",
        substitutes: ["1/4<4090", "2/5<5000", "3/5<5010"]),
    Descent(
        name: "two forks on one border and one on the next", ancestors: [(1, 0x4000), (2, 0x4000), (3, 0x5000)],
        newest: 4, files: "11134444", substitutes: ["1/4<4000", "2/4<4000", "3/5<5000"]),
    Descent(
        name: "three forks on neighbouring borders", ancestors: [(1, 0x4000), (2, 0x5000), (3, 0x6000)], newest: 4,
        files: "11123444", substitutes: ["1/4<4000", "2/5<5000", "3/6<6000"]),
    Descent(
        name: "timelines whose numbers leave some out", ancestors: [(1, 0x30F8), (4, 0x6010)], newest: 9,
        files: "11444999", substitutes: ["1/3<30F8", "4/6<6010"]),
    Descent(
        name: "a fork in the first segment of all", ancestors: [(1, 0x0100), (2, 0x3100)], newest: 3,
        files: "22333333", substitutes: ["2/3<3100"]),
    Descent(
        name: "a fork at the first byte of all", ancestors: [(1, 0x0000)], newest: 2, files: "22222222"),
    Descent(
        name: "a pair that switched over and back in one segment, and over in the next",
        ancestors: [(1, 0x4100), (2, 0x4200), (3, 0x5100)], newest: 4, files: "11134444",
        substitutes: ["1/4<4100", "2/4<4200", "3/5<5100"]),
]

/// `timeline/segment`
private func file(_ text: String) throws -> SegmentName {
    let parts = text.split(separator: "/").compactMap { UInt64($0) }
    return SegmentName(timeline: TimelineID(UInt32(parts[0])), number: parts[1], segmentSize: 0x1000)
}

private func files(_ text: String) throws -> SegmentSet {
    SegmentSet(try text.split(separator: " ").map { try file(String($0)) }, segmentSize: 0x1000)
}

private func short(_ name: SegmentName) -> String { "\(name.timeline)/\(name.number(segmentSize: 0x1000))" }

@Suite struct GenealogyTests {
    @Test(arguments: descents)
    func `each segment is read from the newest timeline that has begun by its end`(_ descent: Descent) throws {
        let lineage = descent.lineage
        let names = (1...8).map { lineage.file($0) }
        #expect(names.map(\.timeline.description).joined() == descent.files)
        let genealogy = Genealogy([lineage.timeline: descent.history], segmentSize: 0x1000)
        for (index, name) in names.enumerated() {
            #expect(lineage.reads(name))
            #expect(lineage.file(containing: name.start(segmentSize: 0x1000)) == name)
            #expect(lineage.file(containing: name.start(segmentSize: 0x1000) + 0xFFF) == name)
            if index > 0 {
                #expect(lineage.file(before: name) == names[index - 1])
                #expect(lineage.file(after: names[index - 1]) == name)
            }
            // The newest timeline's own first segment continues its parent's last.
            if index > 0, name.timeline == lineage.timeline {
                #expect(genealogy.predecessor(of: name) == names[index - 1])
            }
        }
        let stretches = lineage.stretches(1...8)
            .map { String(repeating: $0.timeline.description, count: $0.numbers.count) }
        #expect(stretches.joined() == descent.files)
    }

    /// `XLogFileReadAnyTLI`: newest timeline first, skipped when it begins in a later segment; when all files are
    /// there, the first that isn't skipped is read.
    @Test(arguments: descents)
    func `PostgreSQL's own loop opens the same files`(_ descent: Descent) {
        var entries: [(tli: TimelineID, begin: LSN)] = []
        var begin = LSN.zero
        for ancestor in descent.history.ancestors {
            entries.insert((ancestor.timeline, begin), at: 0)
            begin = ancestor.switchPoint
        }
        entries.insert((descent.history.timeline, begin), at: 0)
        for number in UInt64(0)...9 {
            var opened: TimelineID?
            for entry in entries {
                if entry.begin != .zero && number < entry.begin.rawValue / 0x1000 { continue }
                opened = entry.tli
                break
            }
            #expect(descent.lineage.file(number).timeline == opened)
        }
    }

    @Test(arguments: descents)
    func `the files that hold the beginning of a segment are found`(_ descent: Descent) {
        let found = (UInt64(1)...8).flatMap { number in
            descent.lineage.substitutes(for: number).map {
                "\(short($0.name))<\(String($0.next.begin.rawValue, radix: 16, uppercase: true))"
            }
        }
        #expect(found == descent.substitutes)
    }

    @Test(arguments: descents)
    func `each timeline ends where it was left`(_ descent: Descent) {
        for ancestor in descent.history.ancestors {
            #expect(descent.lineage.end(of: ancestor.timeline) == ancestor.switchPoint)
        }
        #expect(descent.lineage.end(of: descent.history.timeline) == nil)
        #expect(descent.lineage.end(of: TimelineID(99)) == nil)
        for (shorter, ancestor) in zip(descent.lineage.path.shorter, descent.history.ancestors) {
            #expect(shorter.target == ancestor.timeline)
            #expect(shorter.end(of: ancestor.timeline) == nil)
        }
    }

    /// Every set of missing files, compared with the plain definition.
    @Test(arguments: descents)
    func `gaps are what is missing, and nothing else`(_ descent: Descent) {
        let lineage = descent.lineage
        for bits in 0..<256 {
            let missing = (UInt64(1)...8).filter { bits & 1 << Int($0 - 1) != 0 }
            let present = (UInt64(1)...8).filter { !missing.contains($0) }
            let archived = SegmentSet(present.map { lineage.file($0) }, segmentSize: 0x1000)
            let gaps = lineage.gaps(1...8, in: archived)
            #expect(gaps.flatMap { Array($0.numbers) } == missing)
            for (gap, next) in zip(gaps, gaps.dropFirst()) {
                #expect(gap.numbers.upperBound + 1 < next.numbers.lowerBound)
            }
            for gap in gaps {
                #expect(gap.first == lineage.file(gap.numbers.lowerBound))
                #expect(gap.last == lineage.file(gap.numbers.upperBound))
                #expect(gap.from == gap.first.start(segmentSize: 0x1000))
                #expect(gap.to == gap.last.end(segmentSize: 0x1000))
            }
            #expect(lineage.newest(in: archived) == present.last)
            let run = lineage.continuous(from: 1, in: archived).flatMap { Array($0.numbers) }
            #expect(run == Array(present.enumerated().prefix { $1 == UInt64($0) + 1 }.map(\.1)))
        }
    }

    private static let gapCases:
        [(name: String, descent: String, files: String, ends: [String: UInt64], gaps: [String])] = [
            (
                "an ancestor's segments beyond the fork don't count", "one fork inside a segment",
                "1/1 1/2 1/3 1/4 1/5 1/6 2/4", [:], []
            ),
            (
                "the parent's end", "one fork inside a segment", "1/1 2/4 2/5", [:], ["1/2-1/3 2000-4000"]
            ),
            (
                "the child's beginning, without the parent's file", "one fork inside a segment", "1/1 1/2 1/3 2/5", [:],
                ["2/4-2/4 4000-5000"]
            ),
            (
                "the child's beginning, with the parent's file", "one fork inside a segment", "1/1 1/2 1/3 1/4 1/5 2/5",
                [:], ["2/4-2/4 40A0-5000"]
            ),
            (
                "the child's beginning, with the parent's file that ends early", "one fork inside a segment",
                "1/1 1/2 1/3 1/4 2/5", ["1/4": 0x4080], ["2/4-2/4 4080-5000"]
            ),
            (
                "a fork inside the gap", "one fork inside a segment", "1/1 1/2 2/6", [:], ["1/3-2/5 3000-6000"]
            ),
            (
                "a whole timeline between two", "two forks with a segment between them", "1/1 1/2 3/5", [:],
                ["2/3-2/4 3000-5000"]
            ),
            (
                "a whole timeline, the parent's file being there", "two forks with a segment between them",
                "1/1 1/2 1/3 3/5", [:], ["2/3-2/4 30F8-5000"]
            ),
            (
                "two forks in the missing segment, both older files there", "two forks in one segment",
                "1/1 1/2 1/3 1/4 2/4 3/5", [:], ["3/4-3/4 40F0-5000"]
            ),
            (
                "two forks in the missing segment, the oldest file there", "two forks in one segment",
                "1/1 1/2 1/3 1/4 3/5", [:], ["3/4-3/4 40A0-5000"]
            ),
            (
                "a file that ends early before the next segment", "no fork", "1/1 1/2 1/3", ["1/2": 0x2080],
                ["1/2-1/2 2080-3000"]
            ),
            (
                "a file that ends early before a gap", "no fork", "1/1 1/2 1/5", ["1/2": 0x2080], ["1/2-1/4 2080-5000"]
            ),
            ("a file that ends early at the end", "no fork", "1/1 1/2 1/3", ["1/3": 0x3080], []),
            (
                "the end of a fork's segment on the trunk", "one fork inside a segment", "1/1 1/2 1/3 1/4 2/4",
                ["1/4": 0x40A0], []
            ),
        ]

    @Test(arguments: gapCases.indices)
    func `a gap at a fork has its files and its positions`(_ index: Int) throws {
        let (name, descent, texts, ends, expected) = Self.gapCases[index]
        let lineage = try #require(descents.first { $0.name == descent }).lineage
        let archived = try files(texts)
        let newest = try #require(lineage.newest(in: archived))
        let found = lineage.gaps(
            1...newest, in: archived, ends: Dictionary(uniqueKeysWithValues: try ends.map { (try file($0), LSN($1)) }))
        func hex(_ lsn: LSN) -> String { String(lsn.rawValue, radix: 16, uppercase: true) }
        #expect(
            found.map { "\(short($0.first))-\(short($0.last)) \(hex($0.from))-\(hex($0.to))" } == expected,
            "\(name)")
    }

    @Test func `without a history, a segment's first page shows what it continues`() throws {
        let histories = Dictionary(
            uniqueKeysWithValues: descents.filter { $0.name.hasPrefix("two forks in neighbouring segments") }
                .map { (TimelineID($0.newest), $0.history) })
        let known = Genealogy(histories, segmentSize: 0x1000)
        let unknown = Genealogy([:], segmentSize: 0x1000)
        #expect(try known.predecessor(of: file("3/4"), firstTimeline: TimelineID(2)) == file("2/3"))
        #expect(try known.predecessor(of: file("3/4")) == file("2/3"))
        #expect(try unknown.predecessor(of: file("3/4"), firstTimeline: TimelineID(2)) == file("2/3"))
        #expect(try unknown.predecessor(of: file("3/4"), firstTimeline: TimelineID(3)) == file("3/3"))
        #expect(try unknown.predecessor(of: file("3/4")) == file("3/3"))
        // The parent began with this very segment: its own history shows what came before.
        let border = Genealogy(
            [
                TimelineID(2): TimelineHistory(
                    timeline: TimelineID(2), ancestors: [.init(timeline: TimelineID(1), switchPoint: LSN(0x4000))])
            ], segmentSize: 0x1000)
        #expect(try border.predecessor(of: file("3/4"), firstTimeline: TimelineID(2)) == file("1/3"))
        #expect(try border.predecessor(of: file("2/4")) == file("1/3"))
        #expect(try known.predecessor(of: file("1/0")) == nil)
        #expect(try unknown.predecessor(of: file("3/0"), firstTimeline: TimelineID(1)) == nil)
    }
}
