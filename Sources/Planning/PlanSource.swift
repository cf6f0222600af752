import Messages
public import WAL

/// What the planner asks of an archive. It knows neither files nor catalogs: a test answers from arrays.
public protocol PlanSource {
    var majorVersion: Int { get }
    /// Bytes.
    var segmentSize: UInt32 { get }
    /// Complete backups, in no order.
    func backups() throws -> [RestorableBackup]
    /// Every timeline history file. Timeline 1 has none and needs none.
    func histories() throws -> [TimelineID: TimelineHistory]
    /// Every whole segment the archive holds.
    func segments() throws -> SegmentSet
    /// What is known of `path[range]` without reading the segments. `path` is a run of neighbours as recovery reads
    /// them, so a record that crosses a boundary is told with the segment that completes it.
    func facts(of path: WALSegments, _ range: Range<Int>) throws -> [SegmentOutline]
    /// Every record that is complete within `path[index]`, in order, until `visit` says false. One that began in the
    /// segment before comes first.
    func records(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws
    /// As `records`, but only those that tell of transactions' ends and restore points.
    func landmarks(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws
    /// Which files these transactions changed, as far as `path[index]` tells.
    func files(
        changedBy transactions: Set<UInt32>, in path: WALSegments, at index: Int
    ) throws -> [UInt32: Set<RelationFile>]
    /// Whether only the incomplete last segment of a timeline (`.partial`) is there, which PostgreSQL doesn't ask for.
    func isPartial(_ name: SegmentName) -> Bool
    /// Those `isPartial` is true for.
    func partials() -> Set<SegmentName>
    /// The first segment that a recovery along `path` doesn't get over though it is there: it is damaged, or doesn't go on
    /// where the one before it ends.
    func firstBreak(in path: WALSegments) throws -> WALBreak?
    /// What is wrong with `path[index]`, if a server that asked for it would not get it; all of it is read for that. Nil for
    /// one that isn't there: no server fails because of it.
    func fault(of path: WALSegments, at index: Int) throws -> WALBreak?
    /// Timelines that have a parent, but whose history file isn't there.
    func lostHistories() throws -> [LostHistory]
    /// The first segment from `index` on that may hold the stop for a target; nil when none does. Saves a look at the facts
    /// of all segments before it.
    func firstCandidate(in path: WALSegments, from index: Int, for target: RecoveryTarget) throws -> Int?
    /// The first segment from `index` on that may hold a transaction that ended before a moment (or at it).
    func firstEnding(by moment: Moment, orAt: Bool, in path: WALSegments, from index: Int) throws -> Int?
    /// Every restore point in the WAL; nil when that isn't known at once.
    func restorePoints(of path: WALSegments) throws -> [RestorePoint]?
    /// What `path[...index]` tells about the server.
    func serverChanges(of path: WALSegments, through index: Int) throws -> ServerChanges
    /// Transactions that were prepared in `path[...index]`, before a position, and what was decided in the same segments.
    func preparations(of path: WALSegments, through index: Int, before end: LSN) throws -> Preparations
    /// Those that were prepared before a backup and pending in it.
    func prepared(in backup: RestorableBackup) throws -> [Prepare]
    /// Every whole segment, those before the oldest backup as well.
    func everySegment() throws -> SegmentSet
    /// The last commit at or after a position; damaged segments are passed over.
    func lastCommit(of path: WALSegments, from position: LSN) throws -> TransactionMark?
}

extension PlanSource {
    public func landmarks(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        try records(of: path, at: index) { record in try record.content.isLandmark ? visit(record) : true }
    }
    public func files(
        changedBy transactions: Set<UInt32>, in path: WALSegments, at index: Int
    ) throws -> [UInt32: Set<RelationFile>] { [:] }
    public func isPartial(_ name: SegmentName) -> Bool { false }
    public func partials() -> Set<SegmentName> { [] }
    public func firstCandidate(in path: WALSegments, from index: Int, for target: RecoveryTarget) throws -> Int? {
        index
    }
    public func firstEnding(by moment: Moment, orAt: Bool, in path: WALSegments, from index: Int) throws -> Int? {
        index
    }
    public func firstBreak(in path: WALSegments) throws -> WALBreak? { nil }
    public func fault(of path: WALSegments, at index: Int) throws -> WALBreak? { nil }
    public func lostHistories() throws -> [LostHistory] { [] }
    public func restorePoints(of path: WALSegments) throws -> [RestorePoint]? { nil }
    public func serverChanges(of path: WALSegments, through index: Int) throws -> ServerChanges { ServerChanges() }
    public func preparations(of path: WALSegments, through index: Int, before end: LSN) throws -> Preparations {
        Preparations()
    }
    public func prepared(in backup: RestorableBackup) throws -> [Prepare] { [] }
    public func everySegment() throws -> SegmentSet { try segments() }
    public func lastCommit(of path: WALSegments, from position: LSN) throws -> TransactionMark? {
        for index in path.indices.reversed() {
            var found: TransactionMark?
            do { found = try facts(of: path, index..<index + 1).first?.lastCommit } catch  where !isOutOfReach(error) {
                // What isn't WAL holds no commit.
            }
            if let last = found { return last.lsn >= position ? last : nil }
            if path[index].start(segmentSize: segmentSize) <= position { break }
        }
        return nil
    }
}

/// Whether an error says nothing about what is stored, but that it could not be asked for.
func isOutOfReach(_ error: any Error) -> Bool {
    (error as? any Explained)?.isOutOfReach == true
}

/// Prepared transactions that a stretch of the WAL tells of.
public struct Preparations: Sendable {
    public var prepared: [(lsn: LSN, transaction: Prepare)] = []
    /// Ended in the same stretch, either way.
    public var ended: Set<UInt32> = []
    public init() {}
}

/// A complete base backup, as far as planning goes.
public struct RestorableBackup: Hashable, Sendable {
    public var label: String
    public var timeline: TimelineID
    /// The redo position: replay starts here.
    public var start: LSN
    /// Recovery is consistent once it has replayed everything before this position.
    public var stop: LSN
    public var startTime: Moment
    public var stopTime: Moment
    /// Of the restored data directory, in bytes.
    public var size: Int64
    /// Of which host and data directory it is; nil when it doesn't say.
    public var place: String?
    /// What is known to be wrong with it: the rest of a sentence.
    public var damage: String?

    public init(
        label: String, timeline: TimelineID, start: LSN, stop: LSN, startTime: Moment, stopTime: Moment, size: Int64,
        place: String? = nil
    ) {
        self.place = place
        (self.label, self.timeline, self.start, self.stop) = (label, timeline, start, stop)
        (self.startTime, self.stopTime, self.size) = (startTime, stopTime, size)
    }
}

/// A record as the stopping rules see it.
public struct ReplayRecord: Hashable, Sendable {
    public enum Content: Hashable, Sendable {
        /// Prepared transactions end as `COMMIT PREPARED` or `ROLLBACK PREPARED`; the xid is the prepared one.
        case commit(TransactionMark)
        case abort(TransactionMark)
        case restorePoint(RestorePoint)
        case other

        /// The transaction that ends with the record, either way.
        public var transactionEnd: TransactionMark? {
            switch self {
            case .commit(let mark), .abort(let mark): mark
            case .restorePoint, .other: nil
            }
        }
        public var isLandmark: Bool { if case .other = self { false } else { true } }
        public var commit: TransactionMark? { if case .commit(let mark) = self { mark } else { nil } }
    }
    public var start: LSN
    /// The position after it.
    public var end: LSN
    public var content: Content
    public init(start: LSN, end: LSN, content: Content = .other) {
        (self.start, self.end, self.content) = (start, end, content)
    }
}

/// A segment's summary, as far as planning goes. It covers the records that are complete within the segment, the one
/// that crosses its left boundary included.
public struct SegmentOutline: Hashable, Sendable {
    /// Start of the first and of the last record; nil when the segment completes none.
    public var firstRecord: LSN?
    public var lastRecord: LSN?
    /// Of commits and aborts alike; commit times are not in the order of the WAL, hence not simply the first and last.
    public var earliestEnd: Moment?
    public var latestEnd: Moment?
    public var firstCommit: TransactionMark?
    public var lastCommit: TransactionMark?
    public var commits: Int
    /// The transactions that end here lie between these two; nil when none does or when the range is not known.
    public var lowestXID: UInt32?
    public var highestXid: UInt32?
    public var restorePoints: [RestorePoint]
    /// Whether any transaction ends here.
    public var hasEnds: Bool { earliestEnd != nil }

    public init(
        firstRecord: LSN? = nil, lastRecord: LSN? = nil, earliestEnd: Moment? = nil, latestEnd: Moment? = nil,
        firstCommit: TransactionMark? = nil, lastCommit: TransactionMark? = nil, commits: Int = 0,
        lowestXID: UInt32? = nil, highestXid: UInt32? = nil, restorePoints: [RestorePoint] = []
    ) {
        (self.firstRecord, self.lastRecord) = (firstRecord, lastRecord)
        (self.earliestEnd, self.latestEnd) = (earliestEnd, latestEnd)
        (self.firstCommit, self.lastCommit, self.commits) = (firstCommit, lastCommit, commits)
        (self.lowestXID, self.highestXid, self.restorePoints) = (lowestXID, highestXid, restorePoints)
    }
}
