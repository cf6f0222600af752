/// The state machine that reads a segment's pages: checks page headers, puts records together, checks each, and gives
/// it to a visitor.
///
/// It starts with every segment anew, or — when `goesOn` — carries the record that is open at a segment's end into the
/// next one. Here is its state and its order; `PageReading.swift` and `RecordReading.swift` hold the rules.
struct SegmentReader: ~Copyable {
    enum State {
        case segmentStart
        /// In the remains of a record whose beginning isn't known.
        case head
        /// Between two records.
        case boundary
        /// In the record `open`.
        case record
        /// Behind the last record.
        case ended
    }

    /// Where it belongs and what it must be.
    private(set) var name: SegmentName?
    private(set) var length: UInt64 = 0
    private(set) var contents = SegmentContents.completed
    let systemIdentifierWanted: UInt64?
    let goesOn: Bool

    /// What its first page says.
    var version = WALVersion.v15
    var systemIdentifier: UInt64 = 0
    var segmentSize: UInt32 = 0
    var start = LSN.zero
    var firstTimeline = TimelineID(0)
    var lastTimeline = TimelineID(0)
    var startsAfterAbandoned = false
    /// The abandoned record of an earlier segment, as the record in its place names it.
    var abandonedRecord: LSN?

    /// What the records showed.
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
    /// Start of the last complete record; of an earlier segment's too when going on. 0 is none.
    var previous = LSN.zero
    /// The next record must report the abandonment of this one (0: of one that isn't known).
    var mustReport: LSN?

    /// The record under construction, and its bytes.
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

    /// The segment's bytes are all in.
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

    // Out of line, for the loops to stay small; and "mutating", as is every check that a loop makes, for the compiler to
    // pass the reader by reference: else it copies all of it for each record, in case something were wrong.

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
