import Testing
import WAL

@Suite struct SummaryTests {
    private func example() throws -> SegmentSummary {
        try scan(FixtureChain.pg15.segment("00000001000000000000000A"), "00000001000000000000000A")
    }

    @Test func `sections of a later format are skipped`() throws {
        let summary = try example()
        // Tag 999 (a two-byte varint), five bytes.
        let later = summary.encode() + [0xE7, 0x07, 5, 1, 2, 3, 4, 5]
        #expect(try SegmentSummary(decoding: later) == summary)
    }

    @Test func `another format number is refused`() throws {
        var bytes = try example().encode()
        bytes[0] = 9
        let error = #expect(throws: BadSummary.self) { try SegmentSummary(decoding: bytes) }
        #expect(error?.detail == "Its format has the number 9, which is not known.")
    }

    @Test func `a summary cut anywhere is refused or lacks only whole sections`() throws {
        let summary = try example()
        let bytes = summary.encode()
        for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 500)) {
            guard let cut = try? SegmentSummary(decoding: Array(bytes.prefix(count))) else { continue }
            #expect(cut.start == summary.start && cut.end == summary.end)
        }
    }

    @Test func `damaged summaries never crash`() throws {
        let bytes = try example().encode()
        var random = Pseudorandom(seed: 11)
        for _ in 0..<3000 {
            var broken = bytes
            for _ in 0..<Int(random.next() % 4 + 1) {
                broken[Int(random.next() % UInt64(min(broken.count, 3000)))] = UInt8(truncatingIfNeeded: random.next())
            }
            guard let summary = try? SegmentSummary(decoding: broken) else { continue }
            _ = try? summary.changedBlocks()
            _ = Continuity.join(summary, summary)
            #expect(try SegmentSummary(decoding: summary.encode()) == summary)
        }
    }

    @Test func `destructive events keep the facts that distinguish them`() throws {
        // DROP TABLE, TRUNCATE and VACUUM FULL of the PostgreSQL 15 chain, in that order.
        let summary = try scan(FixtureChain.pg15.segment("000000010000000000000009"), "000000010000000000000009")
        let removals = summary.facts.removals
        let drop = try #require(removals.first)
        #expect(drop.transaction.xid == 799)
        #expect(drop.createdFiles.isEmpty)
        #expect(drop.droppedRelations.map(\.oid).sorted() == [16392, 16395, 16396])
        #expect(drop.locks.map(\.relation).contains(16392))
        let truncate = removals[1]
        #expect(truncate.transaction.xid == 800)
        #expect(!truncate.createdFiles.isEmpty)
        #expect(truncate.droppedRelations.isEmpty)
        #expect(!truncate.locks.isEmpty)
    }

    @Test func `a dropped database is found with the mark that precedes its drop`() throws {
        for chain in FixtureChain.main {
            let files = try chain.expected().files
            let facts = try files.map { try scan(chain.segment($0), $0).facts }
            let drop = try #require(facts.flatMap(\.databaseDrops).first)
            let rows = facts.flatMap(\.databaseRows).filter { $0.lsn < drop.lsn }
            let deleted = try #require(rows.last { $0.isDelete && $0.xid == drop.xid })
            let mark = rows.last {
                !$0.isDelete && $0.xid == 0 && $0.block == deleted.block && $0.row == deleted.row
                    && $0.lsn < deleted.lsn
            }
            #expect(mark != nil, "\(chain.folder)")
        }
    }
}
