import Testing
import WAL

@Suite struct BlockMapTests {
    private let file = RelationFile(tablespace: 1663, database: 5, number: 16385)

    @Test func `a truncation drops the changes after it`() {
        var map = BlockMap()
        for block in [1, 2, 3, 10, 11, 200] as [UInt32] { map.change(file, .main, block: block) }
        map.cut(file, .main, to: 10)
        map.change(file, .main, block: 11)
        #expect(map.entries() == [.init(file: file, fork: .main, limit: 10, blocks: [1...3, 11...11])])
        map.cut(file, .main, to: 0)
        map.change(file, .main, block: 4)
        #expect(map.entries() == [.init(file: file, fork: .main, limit: 0, blocks: [4...4])])
        map.cut(file, .main, to: 5)
        #expect(map.entries().first?.limit == 0)
    }

    @Test func `the last block number has no successor`() throws {
        var map = BlockMap()
        for block in [.max - 64, .max - 1, .max] as [UInt32] { map.change(file, .main, block: block) }
        let expected = BlockMap.Entry(
            file: file, fork: .main, limit: nil, blocks: [.max - 64 ... .max - 64, .max - 1 ... .max])
        #expect(map.entries() == [expected])
        #expect(try BlockMap(decoding: map.encode()).entries() == [expected])
    }

    /// Compares the map with the plainest possible model; the grouping of merges is random.
    @Test func `maps of adjacent ranges merge in any grouping`() throws {
        var random = Pseudorandom(seed: 3)
        for _ in 0..<30 {
            var whole = BlockMap()
            var model: [UInt32: (limit: UInt32?, blocks: Set<UInt32>)] = [:]
            var parts: [BlockMap] = []
            for _ in 0..<6 {
                var part = BlockMap()
                for _ in 0..<200 {
                    let number = UInt32(random.next() % 4 + 1)
                    let file = RelationFile(tablespace: 1663, database: 1, number: number)
                    let block = UInt32(random.next() % 300)
                    if random.next() % 20 == 0 {
                        let limit = random.next() % 3 == 0 ? 0 : block
                        part.cut(file, .main, to: limit)
                        whole.cut(file, .main, to: limit)
                        let old = model[number] ?? (nil, [])
                        model[number] = (min(old.limit ?? .max, limit), old.blocks.filter { $0 < limit })
                    } else {
                        part.change(file, .main, block: block)
                        whole.change(file, .main, block: block)
                        model[number, default: (nil, [])].blocks.insert(block)
                    }
                }
                parts.append(part)
            }
            while parts.count > 1 {
                let at = Int(random.next() % UInt64(parts.count - 1))
                parts[at].merge(parts.remove(at: at + 1))
            }
            #expect(parts[0].entries() == whole.entries())
            #expect(
                whole.entries().map { Set($0.blocks.joined()) } == model.sorted { $0.key < $1.key }.map(\.value.blocks))
            #expect(whole.entries().map(\.limit) == model.sorted { $0.key < $1.key }.map(\.value.limit))
            let decoded = try BlockMap(decoding: whole.encode())
            #expect(decoded.entries() == whole.entries())
        }
    }

    @Test func `the map holds the blocks that pg_waldump lists`() throws {
        for chain in FixtureChain.all {
            let expected = try chain.expected()
            var whole = BlockMap()
            var continuity = Continuity()
            var complete = true
            for file in expected.files {
                let summary = try scan(chain.segment(file), file)
                if case .joined(let boundary?) = continuity.add(summary) {
                    if let bytes = boundary.blockMap {
                        whole.merge(try BlockMap(decoding: bytes))
                    } else {
                        complete = false
                    }
                }
                whole.merge(try summary.changedBlocks())
            }
            _ = complete
            let entries = whole.entries()
            for entry in entries {
                let key = "\(entry.file):\(entry.fork.rawValue)"
                let listed = blocks(expected.blocks[key] ?? "")
                let found = Set(entry.blocks.joined())
                #expect(found.isSubset(of: listed), "\(chain.folder) \(key)")
                // Only truncated blocks may be missing.
                #expect(listed.subtracting(found).allSatisfy { $0 >= entry.limit ?? .max }, "\(chain.folder) \(key)")
            }
            let keys = Set(entries.map { "\($0.file):\($0.fork.rawValue)" })
            for key in expected.blocks.keys where key.hasSuffix(":0") || key.hasSuffix(":3") {
                #expect(keys.contains(key))
            }
        }
    }

    private func blocks(_ ranges: String) -> Set<UInt32> {
        var blocks: Set<UInt32> = []
        for range in ranges.split(separator: ",") {
            let ends = range.split(separator: "-").compactMap { UInt32($0) }
            guard let first = ends.first, let last = ends.last else { continue }
            blocks.formUnion(first...last)
        }
        return blocks
    }

    @Test func `a hostile encoding can't take unbounded memory`() {
        // One file, one run of four billion blocks.
        let bytes: [UInt8] = [1, 0, 1, 1, 1, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]
        #expect(throws: BadSummary.self) { try BlockMap(decoding: bytes) }
    }
}
