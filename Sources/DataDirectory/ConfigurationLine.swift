import Platform

/// A line of a server's configuration file that sets something or includes another file, parsed as in `guc-file.l`.
public struct ConfigurationLine: Sendable, Equatable {
    /// In lower case: PostgreSQL's names are case-insensitive.
    public let name: String
    public let value: String
    /// The value's place in the line, including its quotes.
    public let valueRange: Range<Int>

    /// Nil for blank lines, comments, and what PostgreSQL would refuse.
    public init?(_ line: some Collection<UInt8>) {
        let bytes = Array(line)
        var at = 0
        func skipBlanks() { while at < bytes.count, ConfigurationLine.isBlank(bytes[at]) { at += 1 } }
        skipBlanks()
        let nameStart = at
        while at < bytes.count, ConfigurationLine.isPartOfName(bytes[at]) { at += 1 }
        guard at > nameStart else { return nil }
        name = String(decoding: bytes[nameStart..<at], as: UTF8.self).lowercased()
        skipBlanks()
        if at < bytes.count, bytes[at] == UInt8(ascii: "=") { at += 1 }
        skipBlanks()
        let start = at
        if at < bytes.count, bytes[at] == UInt8(ascii: "'") {
            guard let (text, end) = ConfigurationLine.quoted(bytes, from: at) else { return nil }
            (value, at) = (text, end)
        } else {
            while at < bytes.count, !ConfigurationLine.isBlank(bytes[at]), bytes[at] != UInt8(ascii: "#") { at += 1 }
            guard at > start else { return nil }
            value = String(decoding: bytes[start..<at], as: UTF8.self)
        }
        valueRange = start..<at
    }

    /// `value` in quotes (`escape_single_quotes_ascii`).
    public static func quoted(_ value: String) -> String {
        "'" + escaped(value) { $0 == "'" ? "''" : $0 == "\\" ? "\\\\" : nil } + "'"
    }

    private static func isBlank(_ byte: UInt8) -> Bool { [9, 11, 12, 13, 32].contains(byte) }
    private static func isPartOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), UInt8(ascii: "."), 0x80...:
            true
        default: false
        }
    }

    /// The text between quotes, and where the rest begins (`DeescapeQuotedString`); nil when the closing quote is
    /// missing.
    private static func quoted(_ bytes: [UInt8], from start: Int) -> (String, Int)? {
        var text: [UInt8] = []
        var at = start + 1
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "'"):
                guard at + 1 < bytes.count, bytes[at + 1] == UInt8(ascii: "'") else {
                    return (String(decoding: text, as: UTF8.self), at + 1)
                }
                text.append(bytes[at])
                at += 2
            case UInt8(ascii: "\\"):
                guard at + 1 < bytes.count else { return nil }
                at += 1
                switch bytes[at] {
                case UInt8(ascii: "b"): text.append(8)
                case UInt8(ascii: "f"): text.append(12)
                case UInt8(ascii: "n"): text.append(10)
                case UInt8(ascii: "r"): text.append(13)
                case UInt8(ascii: "t"): text.append(9)
                case UInt8(ascii: "0")...UInt8(ascii: "7"):
                    var (code, digits) = (0, 0)
                    while digits < 3, at < bytes.count, (0x30...0x37).contains(bytes[at]) {
                        code = code * 8 + Int(bytes[at] - 0x30)
                        (digits, at) = (digits + 1, at + 1)
                    }
                    text.append(UInt8(truncatingIfNeeded: code))
                    continue
                default: text.append(bytes[at])
                }
                at += 1
            default:
                text.append(bytes[at])
                at += 1
            }
        }
        return nil
    }
}
