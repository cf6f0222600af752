import Support
import Testing
import WAL

/// Rows of pg_class in the WAL of every version.
@Suite struct RelationRowTests {
    @Test(arguments: FixtureChain.main)
    func `relations created and dropped within the WAL are found with their names`(_ chain: FixtureChain) throws {
        let expected = try chain.expected()
        var rows = RelationRows(database: 16384, relations: 1259, schemas: 2615, from: .zero)
        for (index, file) in expected.files.filter({ $0.hasPrefix("00000001") }).enumerated() {
            let bytes = try chain.segment(file)
            rows.begin(
                try #require(SegmentName(file)), length: UInt64(bytes.count), contents: .completed, follows: index > 0)
            try rows.feed(bytes.span.bytes)
        }
        var told: [String: RelationRow] = [:]
        for drop in expected.drops where drop.kind == "commit" {
            let lsn = try #require(LSN(drop.lsn))
            for file in drop.rels {
                let oid = try #require(UInt32(file.split(separator: "/").last ?? ""))
                guard let row = rows.told.row(of: oid, before: lsn) else { continue }
                #expect(row.oid == oid)
                #expect(row.lsn < lsn)
                #expect(["r", "i", "t", "S", "m", "p", "I"].contains(row.kind), "\(row)")
                #expect(row.name.contains(#/^[a-z_0-9]+$/#), "\(row)")
                told[row.name] = row
            }
        }
        // Images compressed with another method than pglz can't be read, and rows that need them are unknown.
        let isPacked = ["pg15", "pg17"].contains(chain.folder)
        for name in ["tr", "st", "vf", "p2"] {
            #expect((told[name]?.kind == "r" && told[name]?.schema == 2200) != isPacked, "\(name) in \(chain): \(told)")
        }
    }
}
