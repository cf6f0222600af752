import Glibc
public import WAL

/// A segment for replay.
public struct ReplaySegment: Sendable {
    public let name: SegmentName
    public var bytes: [UInt8]
    /// Ranges the server may read again at the end of recovery: it reads the state of prepared transactions there.
    var needed: [Range<Int>] = []
    /// The start of the last record that ends in this segment or before; the server reads it again at the end.
    var lastRecord = LSN.zero
    /// Whether the records may end before the segment does.
    let contents: SegmentContents
    public init(name: SegmentName, bytes: [UInt8], contents: SegmentContents = .completed) {
        (self.name, self.bytes, self.contents) = (name, bytes, contents)
    }
}

/// Turns records that are not needed into NOOPs, segment by segment in the order of replay.
///
/// Every segment is read as WAL: a damaged record before the target ends the filter with an error. After a damaged
/// record past the target everything is passed unchanged, because none of it will be replayed. A record that continues
/// in the next segment is decided when it is complete, and all its parts are treated alike; so each segment is returned
/// one call later, or as many calls later as the record has further segments.
public struct WALFilter: ~Copyable {
    private let rules: WALFilterRules
    private let segmentSize: UInt32
    private let target: LSN?
    /// Whether damage after the target was found.
    private var isOver = false
    private var walk: RecordWalk
    /// Segments in which a record may still be open.
    private var held: [ReplaySegment] = []
    /// Checksum state after the body of a NOOP, by its length, on which alone the body depends.
    private var bodies: [UInt32: UInt32] = [:]
    public private(set) var records = 0
    public private(set) var voided = 0

    /// - Parameter target: records that start there or later aren't replayed; nil means that all are.
    public init(_ rules: WALFilterRules, segmentSize: UInt32, target: LSN? = nil) {
        (self.rules, self.segmentSize, self.target) = (rules, segmentSize, target)
        walk = RecordWalk(includingBlocks: rules.readsBlocks)
    }

    /// Takes the next segment and returns those that are finished.
    /// - Throws: `WALDamage` before the target.
    public mutating func add(_ segment: ReplaySegment) throws -> [ReplaySegment] {
        var marked: [RecordHeader] = []
        var prepared: [Range<LSN>] = []
        var last = held.last?.lastRecord ?? .zero
        var count = 0
        let rules = rules
        try read(segment) { record in
            count += 1
            last = record.lsn
            if rules.voids(record) {
                marked.append(record.header)
            } else if case .prepare = record.kind {
                prepared.append(record.lsn..<record.end)
            }
        }
        records += count
        voided += marked.count
        held.append(segment)
        held[held.count - 1].lastRecord = last
        for header in marked { void(header) }
        for stretch in prepared { keep(stretch) }
        let first = isOver ? nil : walk.openRecord.map { $0.rawValue / UInt64(segmentSize) }
        let finished = held.dropLast().prefix { held in
            first.map { held.name.number(segmentSize: segmentSize) < $0 } ?? true
        }
        held.removeFirst(finished.count)
        return Array(finished)
    }

    private mutating func read(_ segment: ReplaySegment, visit: (WALRecord) -> Void) throws {
        guard !isOver else { return }
        do {
            walk.begin(segment.name, length: UInt64(segment.bytes.count), contents: segment.contents)
            try segment.bytes.withUnsafeBytes { bytes in
                try walk.feed(RawSpan(_unsafeBytes: bytes)) { record in
                    visit(record)
                    return .more
                }
            }
            try walk.endSegment()
        } catch let damage as WALDamage {
            guard let target, damage.lsn ?? segment.name.start(segmentSize: segmentSize) >= target else { throw damage }
            isOver = true
        }
    }

    /// The segments still held; a record that is open at the end stays unchanged.
    public mutating func finish() -> [ReplaySegment] {
        defer { held = [] }
        return held
    }

    private mutating func keep(_ stretch: Range<LSN>) {
        for index in held.indices {
            let start = held[index].name.start(segmentSize: segmentSize).rawValue
            let own = stretch.clamped(to: LSN(start)..<LSN(start + UInt64(segmentSize)))
            if !own.isEmpty {
                held[index].needed.append(
                    Int(own.lowerBound.rawValue - start)..<Int(own.upperBound.rawValue - start))
            }
        }
    }

    private mutating func void(_ header: RecordHeader) {
        let noop = NoOperation(header, body: bodyState(header.length))
        var position = header.lsn
        var done = 0
        let total = Int(header.length)
        while done < total {
            // Its place in the segments; and the distance to the end of the page.
            let first = held[0].name.start(segmentSize: segmentSize).rawValue
            guard position.rawValue >= first else { return }
            let index = Int((position.rawValue - first) / UInt64(segmentSize))
            let offset = Int((position.rawValue - first) % UInt64(segmentSize))
            guard index < held.count else { return }
            if offset % WALFilter.pageSize == 0 {
                position = position + UInt64(offset == 0 ? WALFilter.longHeader : WALFilter.shortHeader)
                continue
            }
            let count = min(total - done, WALFilter.pageSize - offset % WALFilter.pageSize)
            held[index].bytes.withUnsafeMutableBytes {
                noop.write(
                    done..<(done + count), to: UnsafeMutableRawBufferPointer(rebasing: $0[offset..<offset + count]))
            }
            done += count
            position = position + UInt64(count)
        }
    }

    /// XLOG_BLCKSZ, and the sizes of its headers (src/include/access/xlog_internal.h).
    private static let pageSize = 8192
    private static let longHeader = 40
    private static let shortHeader = 24

    private mutating func bodyState(_ length: UInt32) -> UInt32 {
        if let known = bodies[length] { return known }
        let state = NoOperation.bodyState(length)
        bodies[length] = state
        return state
    }
}
