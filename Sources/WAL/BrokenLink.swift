public import Messages

/// Why a segment does not continue the one before it.
public struct BrokenLink: Explained, Equatable, Hashable {
    public enum Reason: Hashable, Sendable {
        /// Segments are missing between the two.
        case gap(from: LSN, to: LSN)
        case systemIdentifier(found: UInt64, expected: UInt64)
        case version(found: Int, expected: Int)
        case segmentSize(found: UInt32, expected: UInt32)
        /// The record that is open at the end of the previous segment isn't continued here.
        case notContinued(LSN)
        /// The segment starts with the continuation of a record, but none was open.
        case unexpectedContinuation
        /// A record is open, but the number of its missing bytes differs from what this segment continues.
        case continuationLength(found: UInt32, expected: UInt32)
        case previousRecord(found: LSN, expected: LSN)
        case recordCRC(LSN)
        case recordHeader(LSN)
        /// The record's checksum is correct, but it can't be decoded.
        case recordContent(LSN)
        /// The records of the previous segment end here, before the segment does: its timeline was left in it.
        case endsEarly(LSN)
        /// A segment without records, which only a segment switch across its boundary could explain.
        case straddlingSwitch
    }

    public let reason: Reason
    /// Start of the segment that doesn't continue the one before.
    public let segment: LSN

    public init(_ reason: Reason, segment: LSN) {
        self.reason = reason
        self.segment = segment
    }

    public var message: String { "WAL at \(segment) does not follow the segment before it" }

    public var detail: String? {
        switch reason {
        case .gap(let from, let to): "WAL from \(from) to \(to) is missing."
        case .systemIdentifier(let found, let expected):
            "Its system identifier is \(found), that of the segment before \(expected)."
        case .version(let found, let expected): "It is of PostgreSQL \(found), the segment before of \(expected)."
        case .segmentSize(let found, let expected):
            "Its segment size is \(found) bytes, that of the segment before \(expected)."
        case .notContinued(let lsn): "The record at \(lsn) is not continued."
        case .unexpectedContinuation:
            "It continues a record, but the segment before ends with a complete one."
        case .continuationLength(let found, let expected):
            "It continues a record by \(found) bytes, but \(expected) bytes are missing from the one that is open."
        case .previousRecord(let found, let expected):
            "Its first record names \(found) as the record before it, but that is at \(expected)."
        case .recordCRC(let lsn): "The CRC of the record at \(lsn), which straddles the boundary, is wrong."
        case .recordHeader(let lsn): "The record at \(lsn), which straddles the boundary, has a damaged header."
        case .recordContent(let lsn): "The parts of the record at \(lsn), which straddles the boundary, do not add up."
        case .endsEarly(let end): "The segment before it has no records after \(end), where its timeline ended."
        case .straddlingSwitch:
            "It has no records, which is only right after a segment switch that straddles the boundary."
        }
    }
}
