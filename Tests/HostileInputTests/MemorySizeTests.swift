import Recovery
import Testing

@Suite struct MemorySizeTests {
    @Test(
        arguments: [
            ("32MB", 32 << 20), ("16384", 128 << 20), ("4TB", 4 << 40), ("99999999TB", nil),
            ("9223372036854775807", nil),
            ("99999999999999999999", nil), ("12XB", nil), ("", nil), ("-1", nil),
        ] as [(String, Int64?)])
    func `a size of memory is a number of bytes, or none`(text: String, bytes: Int64?) {
        #expect(RecoverySetting.bytes(text) == bytes)
    }
}
