public import Messages

/// A stored summary that cannot be read.
public struct BadSummary: Explained, Equatable {
    /// The offset in its bytes.
    public let offset: Int
    public let reason: String

    public init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }

    public var message: String { "segment summary is damaged at byte \(offset)" }
    public var detail: String? { reason }
}

/// Builds a summary's bytes: numbers as LEB128 varints, signed ones zigzag.
struct SummaryWriter {
    private(set) var bytes: [UInt8] = []

    mutating func number(_ value: UInt64) {
        var rest = value
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
    mutating func number(_ value: UInt32) { number(UInt64(value)) }
    mutating func number(_ value: Int) { number(UInt64(value)) }
    mutating func signed(_ value: Int64) { number(UInt64(bitPattern: value << 1 ^ value >> 63)) }
    mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }
    mutating func lsn(_ value: LSN) { number(value.rawValue) }
    /// 0 for nil, else the value plus 1.
    mutating func lsn(_ value: LSN?) { number(value.map { $0.rawValue &+ 1 } ?? 0) }
    mutating func moment(_ value: Moment) { signed(value.microseconds) }
    mutating func raw(_ value: [UInt8]) { bytes += value }
    mutating func blob(_ value: [UInt8]) {
        number(value.count)
        bytes += value
    }
    mutating func text(_ value: String) { blob(Array(value.utf8)) }
    mutating func list<Element>(_ values: [Element], _ write: (inout SummaryWriter, Element) -> Void) {
        number(values.count)
        for value in values { write(&self, value) }
    }

    /// A tag, the payload's length, the payload. Empty payloads are omitted.
    mutating func section(_ tag: SummarySection, _ build: (inout SummaryWriter) -> Void) {
        var payload = SummaryWriter()
        build(&payload)
        number(tag.rawValue)
        blob(payload.bytes)
    }
    mutating func section<Element>(
        _ tag: SummarySection, list values: [Element], _ write: (inout SummaryWriter, Element) -> Void
    ) {
        if !values.isEmpty { section(tag) { $0.list(values, write) } }
    }
}

/// Reads what `SummaryWriter` wrote; never past the end.
struct SummaryReader {
    let bytes: [UInt8]
    private(set) var at: Int
    let end: Int

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        at = 0
        end = bytes.count
    }
    private init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        at = range.lowerBound
        end = range.upperBound
    }

    var isAtEnd: Bool { at == end }

    func bad(_ reason: String) -> BadSummary { BadSummary(offset: at, reason: reason) }

    mutating func byte() throws(BadSummary) -> UInt8 {
        guard at < end else { throw bad("It ends too early.") }
        defer { at += 1 }
        return bytes[at]
    }
    mutating func number() throws(BadSummary) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw bad("A number is too large.") }
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 { return value }
            shift += 7
        }
    }
    mutating func number32() throws(BadSummary) -> UInt32 {
        guard let value = UInt32(exactly: try number()) else { throw bad("A number is too large.") }
        return value
    }
    mutating func signed() throws(BadSummary) -> Int64 {
        let value = try number()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }
    mutating func flag() throws(BadSummary) -> Bool { try byte() != 0 }
    mutating func lsn() throws(BadSummary) -> LSN { LSN(try number()) }
    mutating func optionalLSN() throws(BadSummary) -> LSN? {
        let value = try number()
        return value == 0 ? nil : LSN(value - 1)
    }
    mutating func moment() throws(BadSummary) -> Moment { Moment(microseconds: try signed()) }
    /// A count of elements, each of which takes at least one byte.
    mutating func count() throws(BadSummary) -> Int {
        let value = try number()
        guard value <= UInt64(end - at) else { throw bad("It announces more than it has.") }
        return Int(value)
    }
    mutating func blob() throws(BadSummary) -> [UInt8] {
        let count = try count()
        defer { at += count }
        return Array(bytes[at..<at + count])
    }
    mutating func text() throws(BadSummary) -> String { String(decoding: try blob(), as: UTF8.self) }
    mutating func fixed(_ count: Int) throws(BadSummary) -> [UInt8] {
        guard count <= end - at else { throw bad("It ends too early.") }
        defer { at += count }
        return Array(bytes[at..<at + count])
    }
    mutating func list<Element>(
        _ read: (inout SummaryReader) throws(BadSummary) -> Element
    ) throws(BadSummary) -> [Element] {
        var values: [Element] = []
        for _ in 0..<(try count()) { values.append(try read(&self)) }
        return values
    }

    /// The next section: its tag and its payload.
    mutating func section() throws(BadSummary) -> (tag: UInt64, payload: SummaryReader) {
        let tag = try number()
        let count = try count()
        defer { at += count }
        return (tag, SummaryReader(bytes, at..<at + count))
    }
}
