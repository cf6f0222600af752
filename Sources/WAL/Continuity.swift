/// Walks the segments of one history in order and proves that each goes on where the one before it ended.
///
/// Holds a constant amount: where the last record was, and the CRC state of the record that is still open.
public struct Continuity: Hashable, Sendable {
    /// The left side of the next segment.
    enum Carry: Hashable, Sendable {
        /// No segment seen yet: the next one's left side stays open.
        case open
        /// The last record ended in the segment before; `last` is its position if known.
        case complete(last: LSN?)
        case record(OpenRecord)
    }

    /// A record that began in an earlier segment.
    struct OpenRecord: Hashable, Sendable {
        var lsn: LSN
        var total: UInt32
        var have: UInt32
        /// The first 24 bytes, as far as they are there.
        var header: [UInt8]
        /// State over the bytes behind the first 24.
        var crc: UInt32
        /// All bytes so far, as long as every fragment kept its own.
        var bytes: [UInt8]?
        /// The record before it, if known.
        var previous: LSN?
    }

    var carry: Carry = .open
    /// The place the next segment must have.
    var expected: LSN?
    var version: WALVersion?

    public init() {}

    /// What adding a segment showed.
    public enum Join: Hashable, Sendable {
        /// The first segment: nothing is known about its left side.
        case open
        /// It follows. The record that straddles into it and ends in it, if there is one.
        case joined(BoundaryRecord?)
        /// It doesn't.
        case broken(BrokenLink)
    }
}

/// A record that began in an earlier segment and ends in this one; it counts with this one.
public struct BoundaryRecord: Hashable, Sendable {
    public let header: RecordHeader
    public let end: LSN
    /// What it says; nil when it was too long to be kept (over 64 KiB in one segment).
    public let facts: SegmentFacts?
    /// The blocks it changes, encoded; nil like `facts`.
    public let blockMap: [UInt8]?
}

extension Continuity {
    /// Adds the next segment.
    public mutating func add(_ next: SegmentSummary) -> Join { .open }

    /// Whether a record is open at the end of what was added.
    public var openRecord: LSN? {
        if case .record(let record) = carry { record.lsn } else { nil }
    }

    /// Joins two neighbours of which nothing else is known.
    public static func join(_ previous: SegmentSummary, _ next: SegmentSummary) -> Join {
        var continuity = Continuity()
        _ = continuity.add(previous)
        return continuity.add(next)
    }
}
