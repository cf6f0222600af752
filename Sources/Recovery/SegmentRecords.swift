import Planning
import Platform
import Repository
import WAL

/// The records that end in one segment, read in one pass: where each begins and ends, in eight bytes; the contents of
/// those that can end a recovery; and the files that each transaction changed.
struct SegmentRecords {
    /// A segment to read.
    struct Piece {
        enum Place {
            case stored(StoredSegment)
            case file(String, SegmentContents)
        }
        let name: SegmentName
        let place: Place

        var contents: SegmentContents {
            switch place {
            case .stored(let stored): stored.contents
            case .file(_, let contents): contents
            }
        }

        func length() throws -> UInt64 {
            switch place {
            case .stored(let stored): stored.head.rawLength
            case .file(let path, _): UInt64(try FileStatus(of: path).size)
            }
        }

        func extract(_ take: (UnsafeRawBufferPointer) throws -> Void) throws {
            switch place {
            case .stored(let stored): try stored.extractConcurrently(write: take)
            case .file(let path, _): try WaitingWAL.read(path, take)
            }
        }
    }

    let name: SegmentName
    /// Ends of transactions, and restore points.
    private(set) var landmarks: [ReplayRecord] = []
    /// Prepared transactions, and their positions.
    private(set) var prepared: [(lsn: LSN, transaction: Prepare)] = []
    /// Why the rest could not be read.
    private(set) var damage: WALDamage?

    /// Counted from `origin` in units of eight bytes, to which records are aligned.
    private struct Place {
        let start, end: UInt32
    }
    private struct Change: Equatable {
        let xid: UInt32
        let file: RelationFile
    }
    private let origin: UInt64
    /// Records that end before it belong to the previous segment.
    private let start: LSN
    /// The record across the left boundary, where the summaries describe it.
    private let crossing: ReplayRecord?
    /// Records that begin here or later are from the file's earlier use.
    private let end: LSN?
    private var places: [Place] = []
    private var changes: [Change] = []

    /// - Parameters:
    ///   - origin: where the first segment to be read starts.
    ///   - crossing: the record across the left boundary, if it is known already.
    ///   - end: where the segment ends, if it ends early.
    init(_ name: SegmentName, segmentSize: UInt32, from origin: LSN, crossing: ReplayRecord?, end: LSN?) {
        self.end = end
        self.name = name
        self.crossing = crossing
        self.origin = origin.rawValue
        start = name.start(segmentSize: segmentSize)
        if let crossing, crossing.content.isLandmark { landmarks = [crossing] }
    }

    /// Reads consecutive segments, of which the last is this one and the first the one in which the record across its
    /// left boundary begins.
    /// - Throws: what reading the objects throws; damage to the WAL is stored in `damage`.
    mutating func read(_ pieces: [Piece]) throws {
        var walk = RecordWalk(includingBlocks: true)
        do {
            for piece in pieces {
                walk.begin(piece.name, length: try piece.length(), contents: piece.contents)
                var pages = PageFeed()
                try piece.extract { bytes in
                    try pages.feed(bytes) { pages in
                        try walk.feed(RawSpan(_unsafeBytes: pages)) { record in
                            if let end, record.lsn >= end { return .stop }
                            if record.end > start { add(record) }
                            return .more
                        }
                    }
                }
                try walk.endSegment()
            }
        } catch let found as WALDamage { damage = found }
    }

    private mutating func add(_ record: WALRecord) {
        places.append(Place(start: place(record.lsn), end: place(record.end)))
        switch record.kind {
        case .commit, .abort, .restorePoint: landmarks.append(ReplayRecord(record))
        case .prepare(let transaction): prepared.append((record.lsn, transaction))
        default: break
        }
        for block in record.blocks {
            let change = Change(xid: record.header.xid, file: block.file)
            if change != changes.last { changes.append(change) }
        }
    }

    private func place(_ lsn: LSN) -> UInt32 { UInt32((lsn.rawValue - origin) / 8) }

    var first: ReplayRecord? {
        var found: ReplayRecord?
        _ = visitAll { record in
            found = record
            return false
        }
        return found
    }

    /// Visits every record in order, until `visit` returns false.
    /// - Returns: false if `visit` did.
    func visitAll(_ visit: (ReplayRecord) throws -> Bool) rethrows -> Bool {
        if let crossing, try !visit(crossing) { return false }
        var next = crossing?.content.isLandmark == true ? 1 : 0
        for place in places {
            let start = LSN(origin + UInt64(place.start) * 8)
            if next < landmarks.count, landmarks[next].start == start {
                guard try visit(landmarks[next]) else { return false }
                next += 1
            } else {
                guard try visit(ReplayRecord(start: start, end: LSN(origin + UInt64(place.end) * 8))) else {
                    return false
                }
            }
        }
        return true
    }

    func files(changedBy transactions: Set<UInt32>) -> [UInt32: Set<RelationFile>] {
        var found: [UInt32: Set<RelationFile>] = [:]
        for change in changes where transactions.contains(change.xid) {
            found[change.xid, default: []].insert(change.file)
        }
        return found
    }
}
