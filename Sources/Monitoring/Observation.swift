public import Archiving
public import Backups
public import DataDirectory
public import Jobs
public import Platform
public import Recovery
public import Repository
public import Setup
public import WAL

/// Everything that `tidemark check` judges, observed once. A value that could not be observed is nil, with the reason
/// beside it; the rules (`judge`) decide what that means.
public struct Observation: Sendable {
    public var cluster: String
    public var now: Moment
    public var server: ServerObservation?
    public var serverProblem: String?
    /// The rest of its answers is ignored then.
    public var foreignServer: String?
    /// Why a standby has paused for ever instead of replaying.
    public var pausedReplay: PausedReplay?
    public var serverHint: String?
    /// A connection string for the server, without secrets, for commands in messages.
    public var conninfo: String?
    /// Recovery targets in the configuration files and on the command line of a server that isn't in recovery; nil when
    /// they could not be read.
    public var leftTargets: [LeftTarget]?
    public var leftTargetsProblem: String?
    public var waiting: WaitingObservation?
    public var waitingProblem: String?
    /// The error of the last push that failed.
    public var pushFailure: PushFailure?
    public var archive: ArchiveObservation?
    /// Why the marker of the incarnation in use isn't believed.
    public var doubtedMarker: (any Explained)?
    /// The cluster's incarnations from before initdb or pg_upgrade.
    public var former: [FormerIncarnation] = []
    /// Errors in reading these, as sentences.
    public var formerProblems: [String] = []
    /// Why a backup would refuse the setting `exclude`.
    public var excludeProblem: Problem?
    public var archiveProblem: String?
    public var archiveHint: String?
    /// Of the last 400 days, oldest first.
    public var jobs: [JobRecord] = []
    /// Damage that a verification found and that persists, and backups with missing objects.
    public var knownDamage: [KnownDamage] = []
    /// Why that could not be determined, as a sentence.
    public var knownDamageProblem: String?
    /// Gaps that a verification found and that persist.
    public var knownGaps: [KnownGap] = []
    /// Why it could not be determined which segments don't continue the one before, as a sentence.
    public var breaksProblem: String?
    public var space: SpaceObservation?
    /// Whether the repository's store has a known limit.
    public var isSpaceLimited = true
    public var spaceProblem: String?
    public var permissions: [PermissionFinding] = []
    /// Two directories that are nested.
    public var nested: NestedPlaces?
    /// Why it could not be determined whether directories are nested, as a sentence.
    public var placesProblem: String?
    /// The incarnation in the data directory, and whether the repository has it; nil without a data directory.
    public var ownCluster: (folderName: String, isKnown: Bool)?
    /// The server's timeline; nil when that, or the archive's timelines, could not be determined.
    public var serverTimeline: TimelineID?
    /// Newer timelines in the archive, which the server isn't on.
    public var strays: [StrayTimeline] = []
    /// Files of the server's pg_wal that are named after timeline histories, and aren't any.
    public var damagedHistories: [DamagedOwnHistory] = []
    /// The timelines that a recovery may follow where no data directory tells which is the cluster's.
    public var branches: [TimelineID] = []
    /// Whether the server's timeline was put aside, and its history has not been archived again.
    public var isPutAside = false
    /// Whether the data directory is a standby's (standby.signal).
    public var isFollowing = false
    /// The archive has another server's file under the name of one of the server's.
    public var contradiction: Contradiction?
    /// Why it could not be determined whether it has.
    public var contradictionProblem: ContradictionUnknown?
    /// The number of undelivered notifications, and the age of the oldest in seconds; nil when no receiver is
    /// configured.
    public var undelivered: (count: Int, age: Double)?
    /// Why that could not be determined, as a sentence.
    public var undeliveredProblem: String?
    /// The receivers of the notifications that were given up within the last week, one for each.
    public var givenUp: [String] = []

    public init(cluster: String, now: Moment) {
        self.cluster = cluster
        self.now = now
    }

    /// Seconds from `moment` until now.
    public func age(_ moment: Moment) -> Double { Double(now.microseconds - moment.microseconds) / 1_000_000 }

    func lastJob(_ kind: JobKind) -> JobRecord? { pastJobs.last { $0.kind == kind } }

    /// The jobs without those with an end in the future: it isn't known when they ran.
    public var pastJobs: [JobRecord] { jobs.ended(by: now) }
}

extension [JobRecord] {
    /// Those that ended before `now`, with a tolerance of a minute for clocks.
    func ended(by now: Moment) -> [JobRecord] { filter { $0.finished.microseconds - now.microseconds <= 60_000_000 } }
}

/// The server's own answers.
public struct ServerObservation: Sendable {
    /// 150020 for 15.20.
    public var version: Int
    public var isStandby: Bool
    /// How far the server's clock is ahead of this host's, in seconds.
    public var clockOffset: Double
    public var findings: [ServerFinding]
    /// From pg_stat_archiver.
    public var archivedCount: Int
    public var failedCount: Int
    public var isFailing: Bool
    public var lastFailed: String?
    /// The last file that the server was told is archived, if that was a segment.
    public var lastArchived: SegmentName?
    /// Seconds since the server archived a file, or was started; nil when it doesn't archive.
    public var archiverQuiet: Double?
    /// Where the WAL ends; on a standby, the replay position.
    public var position: LSN
    /// The timeline that a standby receives; nil when it doesn't.
    public var receivedTimeline: TimelineID?

    public init(
        version: Int, isStandby: Bool, clockOffset: Double, findings: [ServerFinding], archivedCount: Int,
        failedCount: Int, isFailing: Bool, lastFailed: String?, position: LSN
    ) {
        (self.version, self.isStandby, self.clockOffset) = (version, isStandby, clockOffset)
        (self.findings, self.archivedCount, self.failedCount) = (findings, archivedCount, failedCount)
        (self.isFailing, self.lastFailed, self.position) = (isFailing, lastFailed, position)
    }
}

/// A `recovery_target…` setting of a server that isn't in recovery.
public struct LeftTarget: Sendable, Equatable {
    public var name: String
    public var value: String
    /// Nil for the server's command line.
    public var file: String?
    public init(_ name: String, _ value: String, file: String?) {
        (self.name, self.value, self.file) = (name, value, file)
    }
}

/// WAL in the server's pg_wal that isn't archived yet.
public struct WaitingObservation: Sendable {
    /// Segments and histories that wait for the archiver: `.ready` files.
    public var ready: Int
    /// Seconds since the oldest of them was finished; 0 when there is none.
    public var oldestReady: Double
    /// Seconds since the oldest commit that isn't archived; 0 when every commit is.
    public var oldestCommit: Double?
    /// The segment of the server's pg_wal that could not be read; the oldest commit isn't known then.
    public var unreadable: SegmentName?
    /// Segments that the server has finished, or replayed to their end, after the newest one in the repository.
    public var unarchived: UInt64 = 0

    public init(ready: Int, oldestReady: Double, oldestCommit: Double?) {
        (self.ready, self.oldestReady, self.oldestCommit) = (ready, oldestReady, oldestCommit)
    }
}

/// The cluster's archive.
public struct ArchiveObservation: Sendable {
    public var incarnation: Incarnation
    public var backups: BackupListing
    /// Bytes.
    public var segmentSize: UInt32
    /// The cluster's timeline, according to the archive.
    public var timeline: TimelineID
    /// The newest segment of the cluster's history in the repository.
    public var newest: SegmentName?
    /// Gaps between the oldest kept backup and the newest segment.
    public var gaps: [Gap]
    /// Why the history itself can't be followed.
    public var historyProblem: String?
    /// A damaged history of another timeline than the cluster's.
    public var damagedHistory: LostHistory?
    /// The command that archives the missing or damaged history from the server's pg_wal.
    public var historyRemedy: String?
    /// The labels of complete backups on other timelines than those of the cluster's history.
    public var strangers: Set<String> = []
    /// Those that lie on it.
    public var ownBackups: [BackupDescription] { backups.complete.filter { !strangers.contains($0.label) } }
    /// Damage that the sizes of backups' objects show, by label.
    public var damage: [String: String] = [:]
    /// The cluster's last own backup in the WAL without such damage.
    public var newestBackup: BackupDescription? {
        ownBackups.filter { damage[$0.label] == nil }
            .max { ($0.timeline, $0.stopLSN) < ($1.timeline, $1.stopLSN) }
    }
    /// The cluster's last own backup, if it has such damage.
    public var newestDamaged: (label: String, reason: String)? {
        ownBackups.max { ($0.timeline, $0.stopLSN) < ($1.timeline, $1.stopLSN) }
            .flatMap { newest in damage[newest.label].map { (newest.label, $0) } }
    }
    /// The newest commit in the repository.
    public var newestCommit: Moment?
    /// The oldest time from which every later one can be reached; nil when none can.
    public var windowStart: Moment?
    /// Where the WAL begins that `[retention]` keeps completely; before, only single backups' WAL is kept.
    public var keptFrom: Moment?

    /// Where the best recovery ends, when it doesn't reach the newest segment.
    public var unreached: Gap?
    /// The last time that a recovery reaches then.
    public var reachEnd: Moment?

    public struct Gap: Sendable, Equatable {
        public var first: SegmentName
        public var last: SegmentName
        public var count: Int
        /// The newest commit before it and the oldest after it, when the adjacent summaries have one.
        public var from: Moment?
        public var to: Moment?
        /// The missing segments.
        public var missing: LineageGap?
        /// The commands that close it.
        public var remedy: GapRemedy?
        /// The segment that exists but can't be replayed; then no segment is missing.
        public var stop: WALBreak?
        /// What is there, but is another server's; then nothing is missing.
        public var contradiction: Contradiction?

        public init(first: SegmentName, last: SegmentName, count: Int) {
            (self.first, self.last, self.count) = (first, last, count)
        }

        init(_ gap: LineageGap) {
            self.init(first: gap.first, last: gap.last, count: gap.count)
            missing = gap
        }

        init(_ stop: WALBreak) {
            self.init(first: stop.segment, last: stop.segment, count: 0)
            self.stop = stop
        }

        init(_ contradiction: Contradiction, at segment: SegmentName) {
            self.init(first: segment, last: segment, count: 0)
            self.contradiction = contradiction
        }

        /// What closes it, as sentences; nil when nothing is known to.
        public var wayOut: String? { contradiction?.hint ?? remedy?.hint }

        /// `segment "000000010000000000000003" is missing`; as every command says it.
        public var sentence: String {
            if let contradiction { return contradiction.message }
            if let stop { return stop.sentence }
            return first == last
                ? "segment \"\(first)\" is missing" : "segments \"\(first)\" to \"\(last)\" are missing"
        }
    }
    public var missing: Int { gaps.reduce(0) { $0 + $1.count } }
    /// Where a recovery to the newest time ends.
    public var windowEnd: Moment? {
        if unreached != nil { return reachEnd }
        return [newestCommit, newestBackup?.stopTime].compactMap { $0 }.max()
    }

    public init(
        incarnation: Incarnation, backups: BackupListing, segmentSize: UInt32, timeline: TimelineID,
        newest: SegmentName?, gaps: [Gap], historyProblem: String? = nil, newestCommit: Moment?, windowStart: Moment?
    ) {
        (self.incarnation, self.backups, self.segmentSize) = (incarnation, backups, segmentSize)
        (self.timeline, self.newest, self.gaps) = (timeline, newest, gaps)
        (self.historyProblem, self.newestCommit, self.windowStart) = (historyProblem, newestCommit, windowStart)
    }
}

/// The space in the repository's store.
public struct SpaceObservation: Sendable {
    /// Bytes.
    public var free: Int64
    public var total: Int64
    /// Bytes per day by which the free space shrinks; nil when unknown, negative when it grows.
    public var shrinking: Double?

    public init(free: Int64, total: Int64, shrinking: Double?) {
        (self.free, self.total, self.shrinking) = (free, total, shrinking)
    }
}

/// A file or directory whose permissions are too open.
public struct PermissionFinding: Sendable, Equatable {
    public var isCritical: Bool
    /// A sentence.
    public var problem: String
    /// A command that corrects it.
    public var remedy: String

    public init(_ isCritical: Bool, _ problem: String, remedy: String) {
        (self.isCritical, self.problem, self.remedy) = (isCritical, problem, remedy)
    }
}
