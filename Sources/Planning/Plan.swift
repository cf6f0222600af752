public import WAL

/// What a recovery will do and where it will end, determined before anything is touched.
public struct Plan: Hashable, Sendable {
    public var target: RecoveryTarget
    /// The target in PostgreSQL's settings. It differs from `target` only for "latest" on a timeline of which nothing
    /// is archived yet: recovery is to end where that timeline begins.
    public var told: RecoveryTarget
    public var backup: RestorableBackup
    /// The reason for choosing this backup, as a sentence.
    public var choice: String
    public var path: TimelinePath
    /// The timeline on whose history the target was searched; `path` omits its timelines that begin after the end.
    public var history: TimelineID
    /// Whether `recovery_target_timeline = 'latest'`, PostgreSQL's default, leads along this path.
    public var isLatestTimeline: Bool
    /// Every segment recovery will read, in order; all but those of `waiting` are in the archive.
    public var segments: [SegmentRange]
    /// The segments of which only a `.partial` exists: recovery puts them into pg_wal, since PostgreSQL doesn't request
    /// them.
    public var partials: [SegmentName]
    /// The segments that a dead server left unarchived in its pg_wal: `recover` in place archives them first.
    public var waiting: [SegmentName] = []
    public var segmentSize: UInt32
    public var majorVersion: Int
    /// Nil for `latest`: recovery ends with the archive.
    public var stop: StoppingPoint?
    /// Everything before this position is replayed, nothing from it on.
    public var end: LSN
    /// The last transaction that is recovered; nil when none committed since the backup began.
    public var lastIncluded: TransactionMark?
    /// The first transaction that is not recovered; nil when the archive has none.
    public var firstExcluded: TransactionMark?
    /// The files that these two changed, by transaction, as far as the segments of their commits show.
    public var changedFiles: [UInt32: Set<RelationFile>] = [:]
    /// Changes to the server that the WAL shows between the backup's start and the end.
    public var changes = ServerChanges()
    /// The first segment after those of `segments` that a server would read before it stops, and can't get; nil when
    /// there is none. Versions before 15 don't read ahead.
    public var faultAhead: WALBreak?
    /// Transactions that are prepared by then and not decided, as far as the backup and the WAL's last segments tell.
    public var pending: [Prepare] = []
    public var warnings: [String]
    /// The other targets that the warnings offer.
    public var offers: [PlanRefusal.Alternative] = []

    public var segmentCount: Int { segments.reduce(0) { $0 + $1.count } }
    /// The WAL to fetch, in bytes.
    public var walSize: Int64 { Int64(segmentCount) * Int64(segmentSize) }
    /// The value of `recovery_target_timeline`.
    public var timeline: TimelineID { path.target }
}
