import Messages
public import WAL

/// The planner's view of an archive, independent of files and catalogs: a test answers from arrays.
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
    /// The facts of `path[range]`, without reading the segments. `path` is a run of consecutive segments in recovery's
    /// order, so a record that crosses a boundary is counted in the segment that completes it.
    func facts(of path: WALSegments, _ range: Range<Int>) throws -> [SegmentOutline]
    /// Visits every record that ends within `path[index]`, in order, until `visit` returns false. A record that began
    /// in an earlier segment comes first.
    func records(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws
    /// As `records`, but only transaction ends and restore points.
    func landmarks(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws
    /// The files that these transactions changed, as far as `path[index]` shows.
    func files(
        changedBy transactions: Set<UInt32>, in path: WALSegments, at index: Int
    ) throws -> [UInt32: Set<RelationFile>]
    /// Whether only the incomplete last segment of a timeline (`.partial`) exists, which PostgreSQL doesn't request.
    func isPartial(_ name: SegmentName) -> Bool
    /// The segments for which `isPartial` is true.
    func partials() -> Set<SegmentName>
    /// The first segment that exists but ends a recovery along `path`: it is damaged, or doesn't continue the one
    /// before it.
    func firstBreak(in path: WALSegments) throws -> WALBreak?
    /// What is wrong with `path[index]`, if a server that asked for it would not get it; all of it is read for that.
    /// Nil for one that isn't there: no server fails because of it.
    func fault(of path: WALSegments, at index: Int) throws -> WALBreak?
    /// Timelines that have a parent, but whose history file isn't there.
    func lostHistories() throws -> [LostHistory]
    /// The first segment from `index` on that may hold the stop for a target; nil when none does. Saves reading the
    /// facts of all segments before it.
    func firstCandidate(in path: WALSegments, from index: Int, for target: RecoveryTarget) throws -> Int?
    /// The first segment from `index` on that may hold a transaction that ended before a time (or at it).
    func firstEnding(by moment: Moment, orAt: Bool, in path: WALSegments, from index: Int) throws -> Int?
    /// Every restore point in the WAL; nil when that takes reading it.
    func restorePoints(of path: WALSegments) throws -> [RestorePoint]?
    /// The changes to the server in `path[...index]`.
    func serverChanges(of path: WALSegments, through index: Int) throws -> ServerChanges
    /// Transactions that were prepared in `path[...index]`, before a position, and those that were finished there.
    func preparations(of path: WALSegments, through index: Int, before end: LSN) throws -> Preparations
    /// Transactions that were prepared before a backup and were pending in it.
    func prepared(in backup: RestorableBackup) throws -> [Prepare]
    /// Every whole segment, including those before the oldest backup.
    func everySegment() throws -> SegmentSet
    /// The last commit at or after a position; damaged segments are skipped.
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
                // A file that isn't WAL holds no commit.
            }
            if let last = found { return last.lsn >= position ? last : nil }
            if path[index].start(segmentSize: segmentSize) <= position { break }
        }
        return nil
    }
}

/// Whether an error says nothing about the stored object, only that it could not be read.
func isOutOfReach(_ error: any Error) -> Bool {
    (error as? any Explained)?.isOutOfReach == true
}

/// The prepared transactions in a range of the WAL.
public struct Preparations: Sendable {
    public var prepared: [(lsn: LSN, transaction: Prepare)] = []
    /// Transactions that were committed or rolled back in the same range.
    public var ended: Set<UInt32> = []
    public init() {}
}

/// A complete base backup, with what planning needs.
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
    /// The host and data directory that were backed up; nil when not recorded.
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

        /// The transaction that the record commits or aborts.
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
    /// The position after the record.
    public var end: LSN
    public var content: Content
    public init(start: LSN, end: LSN, content: Content = .other) {
        (self.start, self.end, self.content) = (start, end, content)
    }
}

/// A segment's summary, with what planning needs. It covers the records that end within the segment, including one that
/// crosses its left boundary.
public struct SegmentOutline: Hashable, Sendable {
    /// Start of the first and of the last record; nil when no record ends in the segment.
    public var firstRecord: LSN?
    public var lastRecord: LSN?
    /// Of commits and aborts; commit times are not in the order of the WAL, so these aren't simply the first and the
    /// last.
    public var earliestEnd: Moment?
    public var latestEnd: Moment?
    public var firstCommit: TransactionMark?
    public var lastCommit: TransactionMark?
    public var commits: Int
    /// The XIDs of the transactions that end here lie between these two; nil when none does or the range is not known.
    public var lowestXID: UInt32?
    public var highestXID: UInt32?
    public var restorePoints: [RestorePoint]
    /// Whether any transaction ends here.
    public var hasEnds: Bool { earliestEnd != nil }

    public init(
        firstRecord: LSN? = nil, lastRecord: LSN? = nil, earliestEnd: Moment? = nil, latestEnd: Moment? = nil,
        firstCommit: TransactionMark? = nil, lastCommit: TransactionMark? = nil, commits: Int = 0,
        lowestXID: UInt32? = nil, highestXID: UInt32? = nil, restorePoints: [RestorePoint] = []
    ) {
        (self.firstRecord, self.lastRecord) = (firstRecord, lastRecord)
        (self.earliestEnd, self.latestEnd) = (earliestEnd, latestEnd)
        (self.firstCommit, self.lastCommit, self.commits) = (firstCommit, lastCommit, commits)
        (self.lowestXID, self.highestXID, self.restorePoints) = (lowestXID, highestXID, restorePoints)
    }
}
