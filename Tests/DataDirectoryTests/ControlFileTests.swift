import DataDirectory
import Platform
import Support
import Testing
import WAL

/// The output of `pg_controldata` of the same version for the file in `Fixtures`.
struct ControlFileRow: Sendable, CustomTestStringConvertible {
    let major: Int
    let systemIdentifier: UInt64
    let catalogVersion: UInt32
    let checkpoint: String
    /// 1 replica, 2 logical.
    let walLevel: Int32
    var testDescription: String { "PostgreSQL \(major)" }

    static let all = [
        ControlFileRow(
            major: 15, systemIdentifier: 7_710_163_592_505_716_322, catalogVersion: 202_209_061,
            checkpoint: "0/1300028", walLevel: 1),
        ControlFileRow(
            major: 16, systemIdentifier: 7_710_163_645_514_007_490, catalogVersion: 202_307_071,
            checkpoint: "0/1100028", walLevel: 1),
        ControlFileRow(
            major: 18, systemIdentifier: 7_710_163_680_061_363_822, catalogVersion: 202_506_291,
            checkpoint: "0/1200028", walLevel: 2),
    ]
}

struct ControlFileTests {
    static func bytes(_ major: Int) throws -> [UInt8] {
        try unpackedFile(Files.parent(#filePath) + "/Fixtures/pg_control-\(major).zst")
    }

    @Test(arguments: ControlFileRow.all)
    func `a control file says what pg_controldata says`(_ row: ControlFileRow) throws {
        let control = try ControlFile(parsing: Self.bytes(row.major), path: "pg_control")
        #expect(control.systemIdentifier == row.systemIdentifier)
        #expect(control.catalogVersion == row.catalogVersion)
        #expect(control.state == .shutDown)
        #expect(control.checkpoint == LSN(row.checkpoint))
        #expect(control.redo == LSN(row.checkpoint))
        #expect(control.timeline == TimelineID(2))
        #expect(control.walLevel == row.walLevel)
        #expect(control.maxConnections == 45)
        #expect(control.segmentSize == 1 << 20)
        #expect(!control.hasChecksums)
        #expect(control.blockSize == 8192 && control.walBlockSize == 8192)
    }

    @Test(arguments: [13, 14, 15, 16, 17, 18])
    func `every version's file is read, and no flipped bit of it goes unnoticed`(major: Int) throws {
        let intact = try Self.bytes(major)
        _ = try ControlFile(parsing: intact, path: "pg_control")
        // Up to the end of the checksum; what follows is padding.
        for bit in 0..<((major >= 18 ? 296 : 292) * 8) {
            var broken = intact
            broken[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: DamagedControlFile.self) { try ControlFile(parsing: broken, path: "pg_control") }
        }
        #expect(throws: DamagedControlFile.self) {
            try ControlFile(parsing: Array(intact.prefix(100)), path: "pg_control")
        }
    }
}
