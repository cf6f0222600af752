/// What a server sends, as a `String`, and back. A database without an encoding (SQL_ASCII) holds any bytes, and so do
/// the names that were given there; the catalogs that all databases share show them to everybody.
///
/// What is UTF-8 stays what it is. Any other byte becomes U+FFFD and its two hexadecimal digits, as does each byte of a
/// U+FFFD, so that no two names become one, and each can be told to the server again.
public enum ServerText {
    public static func string(_ bytes: UnsafeRawBufferPointer) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.unicodeScalars.contains("\u{FFFD}") else { return text }
        var result = ""
        var rest = bytes[...]
        // Scalar by scalar: the decoder tells that some bytes are none, but not which.
        while !rest.isEmpty {
            var iterator = rest.makeIterator()
            var decoder = UTF8()
            if case .scalarValue(let scalar) = decoder.decode(&iterator), scalar != "\u{FFFD}" {
                result.unicodeScalars.append(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else if let byte = rest.popFirst() {
                result += mark(byte)
            }
        }
        return result
    }

    public static func bytes(_ text: String) -> [UInt8] {
        guard text.unicodeScalars.contains("\u{FFFD}") else { return Array(text.utf8) }
        var bytes: [UInt8] = []
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            let digits = String(String.UnicodeScalarView(rest.prefix(2)))
            if scalar == "\u{FFFD}", digits.utf8.count == 2, let byte = UInt8(digits, radix: 16),
                mark(byte).hasSuffix(digits)
            {
                bytes.append(byte)
                rest = rest.dropFirst(2)
            } else {
                bytes += Array(String(scalar).utf8)
            }
        }
        return bytes
    }

    private static func mark(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return "\u{FFFD}" + (digits.utf8.count == 1 ? "0" : "") + digits
    }
}
