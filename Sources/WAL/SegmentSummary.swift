/// How the records of a segment end.
public enum SegmentEnding: UInt8, Hashable, Sendable {
    /// The last page is used to its end; the last record may continue in the next segment.
    case full = 0
    /// With a segment switch. The rest is zero, or what a standby's file held before.
    case `switch` = 1
    /// In zeros. A completed segment may end so only when the record that crosses its left boundary is a segment
    /// switch.
    case zero = 2
    /// At an invalid page or record, left from the file's earlier use. Only a file that isn't full may end so: a
    /// `.partial`, a segment in which its timeline was left, a file that the server is still writing.
    case stale = 3
}

/// The result of one pass over a segment: its position, its links to its neighbours, and its facts.
///
/// It is stored with the segment; `encode()` and `init(decoding:)` are its format (docs/summary-format.md).
public struct SegmentSummary: Hashable, Sendable {
    public var version: WALVersion
    public var systemIdentifier: UInt64
    public var segmentSize: UInt32
    /// Position of the segment's first byte.
    public var start: LSN
    /// Of the first and the last page. The first pages of a new timeline's first segment still have the parent's.
    public var firstTimeline: TimelineID
    public var lastTimeline: TimelineID

    /// The first record that starts and ends here, and the record before it that it names.
    public var firstRecord: LSN?
    public var firstPrevious: LSN?
    /// The last record that ends here.
    public var lastRecord: LSN?
    /// The end of the last complete record.
    public var end: LSN
    public var ending: SegmentEnding
    /// The first page says that the record expected here was abandoned.
    public var startsAfterAbandoned: Bool
    /// The abandoned record, begun in an earlier segment, according to the record in its place
    /// (`XLOG_OVERWRITE_CONTRECORD`).
    public var abandonedRecord: LSN?
    public var head: HeadFragment?
    public var tail: TailFragment?

    public var facts: SegmentFacts
    /// The blocks changed by the records in `facts`, encoded; see `changedBlocks()`.
    public var blockMap: [UInt8]

    /// The map of changed blocks.
    public func changedBlocks() throws(BadSummary) -> BlockMap {
        try BlockMap(decoding: blockMap, maximumBlocks: Int(segmentSize) / 8)
    }

    /// Whether its records end before the segment does, without a segment switch.
    public var endsEarly: Bool { (ending == .zero || ending == .stale) && !needsStraddlingSwitch }

    /// The end of the segment's WAL: after its last valid record, or the segment's end when a record continues in the
    /// next one. A segment switch ends with its record, of 24 bytes (`XLOG_SWITCH` has no data).
    public var recordsEnd: LSN {
        switch ending {
        case .full: start + UInt64(segmentSize)
        case .switch: lastRecord.map { $0 + 24 } ?? end
        case .zero, .stale: end
        }
    }

    /// Whether the segment is valid only if the record that crosses its left boundary is a segment switch.
    public var needsStraddlingSwitch: Bool {
        ending == .zero && firstRecord == nil && !startsAfterAbandoned && (head.map { $0.length <= 16 } ?? false)
    }
}
