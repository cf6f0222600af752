import Messages

/// A byte position in the write-ahead log: PostgreSQL's `pg_lsn`.
public struct LSN: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static let zero = LSN(0)
    public static func < (a: LSN, b: LSN) -> Bool { a.rawValue < b.rawValue }
    public static func + (a: LSN, bytes: UInt64) -> LSN { LSN(a.rawValue &+ bytes) }
    /// Bytes from `b` to `a`; `a` must not lie before `b`.
    public static func - (a: LSN, b: LSN) -> UInt64 { a.rawValue - b.rawValue }
}

extension LSN: LosslessStringConvertible {
    /// Reads PostgreSQL's spelling, `16/B374D848`: two hexadecimal numbers of one to eight digits.
    public init?(_ text: String) {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2,
            halves.allSatisfy({ (1...8).contains($0.utf8.count) && $0.utf8.allSatisfy(isHexDigit) }),
            let high = UInt64(halves[0], radix: 16), let low = UInt64(halves[1], radix: 16)
        else { return nil }
        self.init(high << 32 | low)
    }

    /// `16/B374D848`; the low half always has eight digits.
    public var description: String { "\(hex(rawValue >> 32, width: 1))/\(hex(rawValue & 0xFFFF_FFFF, width: 8))" }
}

/// Upper-case hexadecimal with at least `width` digits.
func hex(_ value: some BinaryInteger, width: Int) -> String {
    padded(value, to: width, radix: 16, uppercase: true)
}

func isHexDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "F"),
        UInt8(ascii: "a")...UInt8(ascii: "f"):
        true
    default: false
    }
}

extension LSN {
    /// Whether two positions are the same place: one may be given as the end of a record that fills its page, the other
    /// as the start of the next record, after the page's header of 24 bytes (40 in a segment's first page).
    public static func agree(_ a: LSN, _ b: LSN, segmentSize: UInt32) -> Bool {
        func normal(_ lsn: LSN) -> UInt64 {
            let header: UInt64 = lsn.rawValue % UInt64(segmentSize) < 8192 ? 40 : 24
            return lsn.rawValue % 8192 == header ? lsn.rawValue - header : lsn.rawValue
        }
        return normal(a) == normal(b)
    }
}
