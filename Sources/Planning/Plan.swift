public import WAL

/// What a recovery will do and where it will end, known before anything is touched.
public struct Plan: Hashable, Sendable {
    public var target: RecoveryTarget
    /// The target that PostgreSQL gets. It differs from `target` in one case: "latest" on a timeline of which nothing is
    /// archived yet must end where that timeline begins.
    public var told: RecoveryTarget
    public var backup: RestorableBackup
    /// Why this backup, as a sentence.
    public var choice: String
    public var path: TimelinePath
    /// The timeline whose history the target was looked for on; `path` leaves out those of it that begin after the end.
    public var history: TimelineID
    /// Whether PostgreSQL's default, `latest`, leads along this path.
    public var isLatestTimeline: Bool
    /// Every segment recovery will read, in order; all but those of `waiting` are in the archive.
    public var segments: [SegmentRange]
    /// Those of them that exist as `.partial` only: recovery puts them into pg_wal, for PostgreSQL doesn't ask for them.
    public var partials: [SegmentName]
    /// Those that a dead server left in its pg_wal and are not in the archive yet: `recover` in place archives them first.
    public var waiting: [SegmentName] = []
    public var segmentSize: UInt32
    public var majorVersion: Int
    /// Nil for `latest`: recovery ends with the archive.
    public var stop: StoppingPoint?
    /// Everything before this position will be there, nothing from it on.
    public var end: LSN
    /// The last transaction that will be there; nil when none committed since the backup began.
    public var lastIncluded: TransactionMark?
    /// The first that won't; nil when the archive knows of none.
    public var firstExcluded: TransactionMark?
    /// The files that these two changed, by transaction, as far as the segments of their commits tell.
    public var changedFiles: [UInt32: Set<RelationFile>] = [:]
    /// What the WAL tells about the server between the backup's start and the end.
    public var changes = ServerChanges()
    /// The first segment behind those of `segments` that a server would read before it stops, and can't get; nil when there
    /// is none. Versions before 15 don't read ahead.
    public var faultAhead: WALBreak?
    /// Transactions that are prepared by then and not decided, as far as the backup and the WAL's last segments tell.
    public var pending: [Prepare] = []
    public var warnings: [String]
    /// The other targets that the warnings offer.
    public var offers: [PlanRefusal.Alternative] = []

    public var segmentCount: Int { segments.reduce(0) { $0 + $1.count } }
    /// Of WAL to fetch, in bytes.
    public var logSize: Int64 { Int64(segmentCount) * Int64(segmentSize) }
    /// The number that goes into `recovery_target_timeline`.
    public var timeline: TimelineID { path.target }
}
