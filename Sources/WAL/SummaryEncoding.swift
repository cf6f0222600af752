public import Platform

/// A stored summary that cannot be read.
public struct BadSummary: Explained, Equatable {
    /// Where in its bytes.
    public let offset: Int
    public let reason: String
    public var message: String { "segment summary is damaged at byte \(offset)" }
    public var detail: String? { reason }
}

extension SegmentSummary {
    /// The summary's stored form (docs/summary-format.md).
    public func encode() -> [UInt8] { [] }

    public init(decoding bytes: [UInt8]) throws(BadSummary) {
        throw BadSummary(offset: 0, reason: "It is empty.")
    }
    public init(decoding bytes: RawSpan) throws(BadSummary) {
        throw BadSummary(offset: 0, reason: "It is empty.")
    }
}

extension BlockMap {
    public func encode() -> [UInt8] { [] }
    public init(decoding bytes: [UInt8]) throws(BadSummary) { self.init() }
}
