/// How the records of a segment end.
public enum SegmentEnding: UInt8, Hashable, Sendable {
    /// The last page is used to its end; the last record may go on in the next segment.
    case full = 0
    /// With a segment switch. The rest is zero, or what a standby's file held before.
    case `switch` = 1
    /// In zeros. A completed segment may end so only when the record that straddles into it is a segment switch.
    case zero = 2
    /// At a page or record that isn't valid, left from the file's earlier life. Only a file that isn't full may end so: a
    /// `.partial`, a segment in which its timeline was left, a file the server still writes.
    case stale = 3
}

/// What one pass over a segment found out: its place, how it hangs together with its neighbours, and what it says.
///
/// It is stored with the segment; `encode()` and `init(decoding:)` are its format (docs/summary-format.md).
public struct SegmentSummary: Hashable, Sendable {
    public var version: WALVersion
    public var systemIdentifier: UInt64
    public var segmentSize: UInt32
    /// Position of the segment's first byte.
    public var start: LSN
    /// Of the first and the last page. The first pages of a new timeline's first segment still carry the old one.
    public var firstTimeline: TimelineID
    public var lastTimeline: TimelineID

    /// The first record that starts here and is complete here, and what it says about the one before it.
    public var firstRecord: LSN?
    public var firstPrevious: LSN?
    /// The last record that is complete here.
    public var lastRecord: LSN?
    /// Behind the last complete record.
    public var end: LSN
    public var ending: SegmentEnding
    /// The first page says that the record expected here was abandoned.
    public var startsAfterAbandoned: Bool
    /// The abandoned record, begun in an earlier segment, as the record in its place names it
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

    /// Up to here the segment's bytes are WAL: after its last valid record, or the segment's end when a record continues
    /// in the next one. A segment switch ends with its record, of 24 bytes (`XLOG_SWITCH` has no data).
    public var recordsEnd: LSN {
        switch ending {
        case .full: start + UInt64(segmentSize)
        case .switch: lastRecord.map { $0 + 24 } ?? end
        case .zero, .stale: end
        }
    }

    /// Whether the segment is only right if the record that straddles into it is a segment switch.
    public var needsStraddlingSwitch: Bool {
        ending == .zero && firstRecord == nil && !startsAfterAbandoned && (head.map { $0.length <= 16 } ?? false)
    }
}
