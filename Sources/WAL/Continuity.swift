/// Goes through the segments of one history in order and proves that each continues the one before it.
///
/// Its size is constant: the position of the last record, and the CRC state of the record that is still open, so that
/// neither segment has to be read again (the record's bytes are kept only while every fragment has at most 64 KiB).
public struct Continuity: Hashable, Sendable {
    /// The state at the beginning of the next segment.
    fileprivate enum Carry: Hashable, Sendable {
        /// Nothing is known about it.
        case open
        /// Only the middle of a record was seen, whose beginning isn't known; this many bytes are still missing.
        case middle(missing: UInt32)
        /// The last record ended in the segment before; `last` is where it starts, if known.
        case complete(last: LSN?)
        case record(OpenRecord)
        /// The segment before ends early: no other one continues it.
        case ended(LSN)

        /// Whether the last record, or the beginning of the open one, has been seen.
        var isKnown: Bool {
            switch self {
            case .open, .middle, .ended: false
            case .complete, .record: true
            }
        }
    }

    /// A record that began in an earlier segment.
    fileprivate struct OpenRecord: Hashable, Sendable {
        var lsn: LSN
        var total: UInt32
        var have: UInt32
        /// The first 24 bytes, or fewer if the record was cut.
        var header: [UInt8]
        /// State over the bytes after the first 24.
        var crc: UInt32
        var bytes: [UInt8]?
        /// Start of the record before it, if known.
        var previous: LSN?
    }

    private struct Expected: Hashable, Sendable {
        let start: LSN
        let systemIdentifier: UInt64
        let version: WALVersion
        let segmentSize: UInt32
    }

    private var carry = Carry.open
    private var expected: Expected?

    public init() {}

    /// The result of adding a segment.
    public enum Join: Hashable, Sendable {
        /// The first segment: there is nothing to link it to.
        case open
        /// It continues the one before. The record that crosses the boundary and ends in it, if there is one.
        case joined(BoundaryRecord?)
        /// The segment doesn't continue the one before.
        case broken(BrokenLink)
    }

    /// The record that is open at the end of the last segment.
    public var openRecord: LSN? {
        if case .record(let record) = carry { record.lsn } else { nil }
    }

    /// Adds the next segment. After a break, a new chain starts with it.
    public mutating func add(_ next: SegmentSummary) -> Join {
        var next = next
        return add(trimming: &next, mayEndEarly: false)
    }

    /// As `add`; where a segment may end early, records that do not continue the WAL before them mark its end and are
    /// removed from its summary.
    /// - Parameter mayEndEarly: a segment whose records end before it does so whatever this says.
    public mutating func add(trimming next: inout SegmentSummary, mayEndEarly: Bool) -> Join {
        let left = carry
        defer {
            expected = Expected(
                start: next.start + UInt64(next.segmentSize), systemIdentifier: next.systemIdentifier,
                version: next.version, segmentSize: next.segmentSize)
        }
        guard let expected else {
            carry = Continuity.carry(after: next, last: nil, open: nil)
            return .open
        }
        let mayEndEarly = mayEndEarly || next.endsEarly
        do throws(Broken) {
            try Continuity.checkPlace(next, expected)
            let boundary: BoundaryRecord?
            let last: LSN?
            let open: OpenRecord?
            do throws(Broken) { (boundary, last, open) = try Continuity.cross(left, next) } catch {
                guard mayEndEarly, error.reason.isOfStraddlingRecord, next.trim(keepingHead: false) else { throw error }
                (boundary, last, open) = (nil, nil, nil)
            }
            if let last, let previous = next.firstPrevious, previous != last {
                guard mayEndEarly, next.trim(keepingHead: true) else {
                    throw Broken(.previousRecord(found: previous, expected: last))
                }
            }
            let isSwitch =
                boundary.map {
                    $0.header.manager == .xlog && $0.header.info & RecordInfo.operation == XLogInfo.switchSegment
                } ?? false
            // Whatever follows a segment switch doesn't matter.
            if isSwitch, mayEndEarly, !next.needsStraddlingSwitch, next.trim(keepingHead: true) { next.ending = .zero }
            if next.needsStraddlingSwitch || isSwitch, !(next.needsStraddlingSwitch && isSwitch), left.isKnown {
                throw Broken(.straddlingSwitch)
            }
            carry = Continuity.carry(after: next, last: last, open: open)
            return .joined(boundary)
        } catch {
            carry = Continuity.carry(after: next, last: nil, open: nil)
            return .broken(BrokenLink(error.reason, segment: next.start))
        }
    }

    /// Links two consecutive segments about which nothing else is known.
    ///
    /// If a record began before `previous` and spans all of it, it stays open, and the link of `next` can't be checked.
    public static func join(_ previous: SegmentSummary, _ next: SegmentSummary) -> Join {
        var continuity = Continuity()
        _ = continuity.add(previous)
        return continuity.add(next)
    }

    private struct Broken: Error {
        let reason: BrokenLink.Reason
        init(_ reason: BrokenLink.Reason) { self.reason = reason }
    }

    private static func checkPlace(_ next: SegmentSummary, _ expected: Expected) throws(Broken) {
        guard next.systemIdentifier == expected.systemIdentifier else {
            throw Broken(.systemIdentifier(found: next.systemIdentifier, expected: expected.systemIdentifier))
        }
        guard next.version == expected.version else {
            throw Broken(.version(found: next.version.major, expected: expected.version.major))
        }
        guard next.segmentSize == expected.segmentSize else {
            throw Broken(.segmentSize(found: next.segmentSize, expected: expected.segmentSize))
        }
        guard next.start == expected.start else { throw Broken(.gap(from: expected.start, to: next.start)) }
    }

    /// The state at the end of a segment. `last` and `open` come from the segment's beginning.
    private static func carry(after segment: SegmentSummary, last: LSN?, open: OpenRecord?) -> Carry {
        if segment.endsEarly { return .ended(segment.end) }
        if let tail = segment.tail {
            return .record(
                OpenRecord(
                    lsn: tail.lsn, total: tail.total, have: tail.length, header: tail.header, crc: tail.crc,
                    bytes: tail.bytes, previous: segment.lastRecord ?? last))
        }
        if segment.lastRecord == nil {
            if let open { return .record(open) }
            // The whole segment is the middle of a record whose beginning isn't known.
            if let head = segment.head, head.length < head.missing, !head.isAbandoned {
                return .middle(missing: head.missing - head.length)
            }
        }
        return .complete(last: segment.lastRecord ?? last)
    }

    /// Crosses the boundary: returns the record that ends in `next`, the last record before `next`'s own, and the
    /// record that is still open when `next` is all its middle.
    private static func cross(
        _ left: Carry, _ next: SegmentSummary
    ) throws(Broken) -> (boundary: BoundaryRecord?, last: LSN?, open: OpenRecord?) {
        switch left {
        case .open: return (nil, nil, nil)
        case .ended(let end): throw Broken(.endsEarly(end))
        case .middle(let missing):
            if next.startsAfterAbandoned { return (nil, nil, nil) }
            guard let head = next.head, head.missing == missing else {
                throw Broken(.continuationLength(found: next.head?.missing ?? 0, expected: missing))
            }
            return (nil, nil, nil)
        case .complete(let last):
            guard next.head == nil, !next.startsAfterAbandoned else { throw Broken(.unexpectedContinuation) }
            return (nil, last, nil)
        case .record(let record):
            if next.startsAfterAbandoned {
                guard next.abandonedRecord == record.lsn else { throw Broken(.notContinued(record.lsn)) }
                return (nil, record.previous, nil)
            }
            guard let head = next.head else { throw Broken(.notContinued(record.lsn)) }
            guard record.have < record.total, head.missing == record.total - record.have else {
                throw Broken(.continuationLength(found: head.missing, expected: record.total &- record.have))
            }
            if head.isAbandoned {
                guard next.abandonedRecord == record.lsn else { throw Broken(.notContinued(record.lsn)) }
                return (nil, record.previous, nil)
            }
            let longer = try extended(record, by: head)
            guard head.length == head.missing else {
                guard next.ending == .full, next.firstRecord == nil else { throw Broken(.notContinued(record.lsn)) }
                return (nil, record.previous, longer)
            }
            return (try complete(longer, in: next), record.lsn, nil)
        }
    }

    private static func extended(_ record: OpenRecord, by head: HeadFragment) throws(Broken) -> OpenRecord {
        var longer = record
        // How many of the header's 24 bytes are still missing: records start at multiples of 8.
        let split = max(0, 24 - Int(record.have))
        guard split % 8 == 0, split <= 16, head.crc.count == 3, head.start.count >= split, Int(head.length) >= split,
            record.header.count == min(24, Int(record.have))
        else { throw Broken(.recordHeader(record.lsn)) }
        longer.header += head.start.prefix(split)
        longer.crc = ChecksumShift.shifted(record.crc, by: Int(head.length) - split) ^ head.crc[split / 8]
        longer.have += head.length
        if let bytes = record.bytes, let more = head.bytes, bytes.count == Int(record.have) {
            longer.bytes = bytes + more
        } else {
            longer.bytes = nil
        }
        return longer
    }

    private static func complete(_ record: OpenRecord, in next: SegmentSummary) throws(Broken) -> BoundaryRecord {
        let bytes = record.header.span.bytes
        guard bytes.byteCount == 24, bytes.u32(0) == record.total else { throw Broken(.recordHeader(record.lsn)) }
        let header = RecordHeader(
            lsn: record.lsn, previous: LSN(bytes.u64(8)), length: record.total, xid: bytes.u32(4), info: bytes.u8(16),
            manager: ResourceManager(rawValue: bytes.u8(17)), crc: bytes.u32(20))
        guard header.manager.isValid else { throw Broken(.recordHeader(record.lsn)) }
        guard header.crc == ~bytes.crc(record.crc, 0..<20) else { throw Broken(.recordCRC(record.lsn)) }
        if let previous = record.previous, header.previous != previous {
            throw Broken(.previousRecord(found: header.previous, expected: previous))
        }
        let isSwitch = header.manager == .xlog && header.info & RecordInfo.operation == XLogInfo.switchSegment
        let end = next.start + (isSwitch ? UInt64(next.segmentSize) : HeadFragment.end(next.head?.length ?? 0))
        guard let whole = record.bytes else {
            return BoundaryRecord(header: header, end: end, facts: nil, blockMap: nil)
        }
        var collector = FactsCollector()
        let content = whole.span.bytes
        guard content.byteCount == Int(record.total),
            let main = readBlocks(content, total: content.byteCount, version: next.version, &collector),
            collector.record(
                header, end: end, version: next.version, main: content.extracting(main..<content.byteCount)) == .good
        else { throw Broken(.recordContent(record.lsn)) }
        return BoundaryRecord(
            header: header, end: end, facts: collector.finished(), blockMap: collector.blocks.encode())
    }
}

/// A record that began in an earlier segment and ends in this one, with which it is counted.
public struct BoundaryRecord: Hashable, Sendable {
    public let header: RecordHeader
    public let end: LSN
    /// Its facts; nil when it was too long to be kept (over 64 KiB in one segment).
    public let facts: SegmentFacts?
    /// The blocks it changes, encoded; nil like `facts`.
    public let blockMap: [UInt8]?
}
