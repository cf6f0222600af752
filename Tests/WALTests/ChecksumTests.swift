import CChecksum
import Support
import Testing

/// The CPU's own CRC instruction against the tables, for records of every length around the steps it takes.
@Suite struct ChecksumTests {
    @Test func `a record's checksum is that of its parts`() {
        var random = SeededGenerator(seed: 32)
        let bytes = (0..<16_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes.withUnsafeBytes { bytes in
            for count in Array(24...400) + Array(3080...3140) + [8192, 12_345, 15_999] {
                for offset in [0, 8, 1] where offset + count <= bytes.count {
                    let record = bytes.baseAddress! + offset
                    let body = tidemark_crc32c_portable(0xFFFF_FFFF, record + 24, count - 24)
                    let whole = ~tidemark_crc32c_portable(body, record, 20)
                    #expect(tidemark_crc32c_record(record, count) == whole, "\(count) bytes")
                    #expect(tidemark_crc32c(0xFFFF_FFFF, record + 24, count - 24) == body, "\(count - 24) bytes")
                }
            }
        }
        #expect(Array("123456789".utf8).withUnsafeBytes { ~tidemark_crc32c(~0, $0.baseAddress, 9) } == 0xE306_9283)
    }
}
