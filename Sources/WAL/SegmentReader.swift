/// The state machine that reads a segment's pages: checks page headers, assembles records, checks each, and passes it
/// to a visitor.
///
/// It starts anew with every segment, or — when `goesOn` — carries the record that is open at a segment's end into the
/// next one. This file has its state and its steps; `PageReading.swift` and `RecordReading.swift` have the rules.
struct SegmentReader: ~Copyable {
    enum State {
        case segmentStart
        /// In the remains of a record whose beginning isn't known.
        case head
        /// Between two records.
        case boundary
        /// In the record `open`.
        case record
        /// After the last record.
        case ended
    }

    /// The segment's expected name.
    private(set) var name: SegmentName?
    private(set) var length: UInt64 = 0
    private(set) var contents = SegmentContents.completed
    let systemIdentifierWanted: UInt64?
    let goesOn: Bool

    /// From its first page.
    var version = WALVersion.v15
    var systemIdentifier: UInt64 = 0
    var segmentSize: UInt32 = 0
    var start = LSN.zero
    var firstTimeline = TimelineID(0)
    var lastTimeline = TimelineID(0)
    var startsAfterAbandoned = false
    /// The abandoned record of an earlier segment, according to the record in its place.
    var abandonedRecord: LSN?

    /// What the records contain.
    var firstRecord: LSN?
    var firstPrevious: LSN?
    var lastRecord: LSN?
    var end = LSN.zero
    var ending = SegmentEnding.full
    var isStopped = false
    /// A page after the end belongs to the segment.
    var hasPagesAfterEnd = false
    var head: HeadFragment?

    var state = State.segmentStart
    /// Bytes of the segment read so far: the offset of the current page.
    private(set) var offset: UInt64 = 0
    /// Start of the last complete record; of an earlier segment's too when `goesOn`. 0 when there is none.
    var previous = LSN.zero
    /// The next record must report that this one was abandoned (0: an unknown one).
    var mustReport: LSN?

    /// The record being assembled, and its bytes.
    var open: UnfinishedRecord?
    var buffer: [UInt8] = []

    init(goesOn: Bool, systemIdentifier: UInt64? = nil) {
        self.goesOn = goesOn
        systemIdentifierWanted = systemIdentifier
    }

    mutating func begin(_ name: SegmentName?, length: UInt64, contents: SegmentContents) {
        self.name = name
        self.length = length
        self.contents = contents
        state = .segmentStart
        offset = 0
        head = nil
        firstRecord = nil
        firstPrevious = nil
        lastRecord = nil
        ending = .full
        startsAfterAbandoned = false
        abandonedRecord = nil
        hasPagesAfterEnd = false
        if !goesOn {
            previous = .zero
            forgetOpenRecord()
        }
    }

    mutating func feed<Visitor: RecordVisitor & ~Copyable>(
        _ chunk: RawSpan, _ visitor: inout Visitor
    ) throws(WALDamage) {
        let count = chunk.byteCount
        guard count % PageHeader.pageSize == 0 else {
            throw damage(.length(found: length, expected: (length / 8192 + 1) * 8192))
        }
        var at = 0
        while at < count {
            if isStopped { return }
            if state != .segmentStart, offset >= UInt64(segmentSize) {
                throw damage(.length(found: offset + UInt64(count - at), expected: UInt64(segmentSize)))
            }
            do throws(WALDamage) {
                try page(chunk.extracting(at..<at + PageHeader.pageSize), &visitor)
            } catch { try end(before: error) }
            offset += UInt64(PageHeader.pageSize)
            at += PageHeader.pageSize
        }
    }

    /// Called when all bytes of the segment have been fed.
    mutating func endSegment() throws(WALDamage) {
        if isStopped { return }
        guard state != .segmentStart else {
            throw damage(.length(found: length, expected: max(8192, length)))
        }
        guard offset == UInt64(segmentSize) else {
            throw damage(.length(found: offset, expected: UInt64(segmentSize)))
        }
    }

    /// The record that is open at the segment's end.
    var tail: TailFragment? {
        guard state == .record, offset == UInt64(segmentSize) else { return nil }
        return open?.tail(buffer)
    }

    mutating func forgetOpenRecord() {
        open = nil
        buffer.removeAll(keepingCapacity: true)
    }

    // MARK: Damage

    // Out of line, to keep the loops small; and "mutating", as is every check in a loop, so that the compiler passes
    // the reader by reference: otherwise it copies all of it for each record, in case of an error.

    /// Damage at a position in the current page.
    @inline(never)
    mutating func damage(_ reason: WALDamage.Reason, at position: Int = 0) -> WALDamage {
        let at = offset + UInt64(position)
        return WALDamage(reason, offset: at, lsn: segmentSize == 0 ? nil : start + at, segment: name)
    }

    /// Damage to the record at `lsn`, which may have started before this page or segment.
    @inline(never)
    mutating func damage(_ reason: WALDamage.Reason, of lsn: LSN) -> WALDamage {
        WALDamage(reason, offset: lsn >= start ? lsn - start : 0, lsn: lsn, segment: name)
    }
}

/// Records are padded to eight bytes.
@inline(__always)
func aligned(_ position: Int) -> Int { (position &+ 7) & ~7 }
