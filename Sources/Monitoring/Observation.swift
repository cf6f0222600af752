public import Archiving
public import Backups
public import DataDirectory
public import Jobs
public import Platform
public import Recovery
public import Repository
public import Setup
public import WAL

/// Everything `tidemark check` judges, looked up once. What could not be looked up is nil, with the reason beside it: the
/// rules (`judge`) decide what that means.
public struct Observation: Sendable {
    public var cluster: String
    public var now: Moment
    public var server: ServerObservation?
    public var serverProblem: String?
    /// Nothing of what it says is believed then.
    public var foreignServer: String?
    /// Why a standby waits for ever instead of replaying.
    public var pausedReplay: PausedReplay?
    public var serverHint: String?
    /// How to talk to the server, without secrets, for commands that are offered.
    public var conninfo: String?
    /// Recovery targets in the configuration files and on the command line of a server that isn't recovering; nil when they
    /// could not be read.
    public var leftTargets: [LeftTarget]?
    public var leftTargetsProblem: String?
    public var waiting: WaitingObservation?
    public var waitingProblem: String?
    /// What the last push that failed said.
    public var pushFailure: PushFailure?
    public var archive: ArchiveObservation?
    /// What the repository holds of the cluster from before initdb or pg_upgrade.
    public var former: [FormerIncarnation] = []
    /// Of that, what can't be read, as sentences.
    public var formerProblems: [String] = []
    /// Why a backup would refuse what `exclude` holds.
    public var excludeProblem: Problem?
    public var archiveProblem: String?
    public var archiveHint: String?
    /// The last 400 days', oldest first.
    public var jobs: [JobRecord] = []
    /// What a verification has found damaged and still is, and backups of which something is missing.
    public var knownDamage: [KnownDamage] = []
    /// Why it could not be found out, as a sentence.
    public var knownDamageProblem: String?
    /// What a verification has found missing and still is.
    public var knownGaps: [KnownGap] = []
    /// Why it could not be found out which segments don't continue the one before, as a sentence.
    public var breaksProblem: String?
    public var space: SpaceObservation?
    /// Whether the repository's store has a limit that it can tell.
    public var isSpaceLimited = true
    public var spaceProblem: String?
    public var permissions: [PermissionFinding] = []
    /// Two places of which one lies in the other.
    public var nested: NestedPlaces?
    /// Why it could not be found out whether one lies in another, as a sentence.
    public var placesProblem: String?
    /// The cluster in the data directory, and whether the repository has a place for it; nil without a data directory.
    public var ownCluster: (folderName: String, isKnown: Bool)?
    /// The timeline the server is on; nil when that, or the archive's timelines, could not be found out.
    public var serverTimeline: TimelineID?
    /// Newer timelines in the archive, which the server isn't on.
    public var strays: [StrayTimeline] = []
    /// The timeline that the server is on was put aside, and its history has not been archived again.
    public var isPutAside = false
    /// The data directory is a standby's (standby.signal).
    public var isFollowing = false
    /// The archive has another server's file under the name of one of the server's.
    public var contradiction: Contradiction?
    /// Why it could not be found out whether it has.
    public var contradictionProblem: ContradictionUnknown?
    /// Undelivered notifications, and how long the oldest has been waiting, in seconds; nil when nobody is notified.
    public var undelivered: (count: Int, age: Double)?
    /// Why it could not be found out what waits, as a sentence.
    public var undeliveredProblem: String?
    /// The receivers of the notifications that were given up within the last week, one for each.
    public var givenUp: [String] = []

    public init(cluster: String, now: Moment) {
        self.cluster = cluster
        self.now = now
    }

    /// Seconds from `moment` to now.
    public func age(_ moment: Moment) -> Double { Double(now.microseconds - moment.microseconds) / 1_000_000 }

    func lastJob(_ kind: JobKind) -> JobRecord? { pastJobs.last { $0.kind == kind } }

    /// The jobs without those that ended in the future: when they ran is not known.
    public var pastJobs: [JobRecord] { jobs.ended(by: now) }
}

extension [JobRecord] {
    /// Those that ended before `now`, or a minute later at most: a clock may be a little wrong.
    func ended(by now: Moment) -> [JobRecord] { filter { $0.finished.microseconds - now.microseconds <= 60_000_000 } }
}

/// What the server itself says.
public struct ServerObservation: Sendable {
    /// 150020 for 15.20.
    public var version: Int
    public var isStandby: Bool
    /// Seconds the server's clock is ahead of ours.
    public var clockOffset: Double
    public var findings: [ServerFinding]
    /// From pg_stat_archiver.
    public var archivedCount: Int
    public var failedCount: Int
    public var isFailing: Bool
    public var lastFailed: String?
    /// Seconds since the server archived a file, or was started; nil where it doesn't archive.
    public var archiverQuiet: Double?
    /// Where new WAL goes; on a standby, what has been replayed.
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

/// A `recovery_target…` setting of a server that isn't recovering.
public struct LeftTarget: Sendable, Equatable {
    public var name: String
    public var value: String
    /// Nil: on the server's command line.
    public var file: String?
    public init(_ name: String, _ value: String, file: String?) {
        (self.name, self.value, self.file) = (name, value, file)
    }
}

/// What lies in the server's pg_wal and isn't in the repository yet.
public struct WaitingObservation: Sendable {
    /// Segments and histories the server has handed to its archiver: `.ready` files.
    public var ready: Int
    /// Seconds since the oldest of them was finished; 0 when none waits.
    public var oldestReady: Double
    /// Seconds since the oldest commit that isn't in the repository; 0 when every commit is there.
    public var oldestCommit: Double?
    /// The segment of the server's pg_wal that could not be read; nothing is known of the oldest commit then.
    public var unreadable: SegmentName?
    /// Segments that the server has finished, or replayed to their end, after the newest one in the repository.
    public var unarchived: UInt64 = 0

    public init(ready: Int, oldestReady: Double, oldestCommit: Double?) {
        (self.ready, self.oldestReady, self.oldestCommit) = (ready, oldestReady, oldestCommit)
    }
}

/// The repository's part for the cluster.
public struct ArchiveObservation: Sendable {
    public var incarnation: Incarnation
    public var backups: BackupListing
    /// Bytes.
    public var segmentSize: UInt32
    /// The timeline the cluster is on, as far as the archive tells.
    public var timeline: TimelineID
    /// The newest segment of the cluster's history in the repository.
    public var newest: SegmentName?
    /// Stretches of segments that are missing between the oldest kept backup and the newest segment.
    public var gaps: [Gap]
    /// Why the history itself can't be followed.
    public var historyProblem: String?
    /// A damaged history of another timeline than the cluster's.
    public var damagedHistory: LostHistory?
    /// The command that brings the missing or damaged history from the server's pg_wal.
    public var historyRemedy: String?
    /// The labels of complete backups that are of another timeline than the cluster's history.
    public var strangers: Set<String> = []
    /// Those that lie on it.
    public var ownBackups: [BackupDescription] { backups.complete.filter { !strangers.contains($0.label) } }
    /// What a look at the sizes of their objects tells of backups that no recovery can restore, by label.
    public var damage: [String: String] = [:]
    /// The last of the cluster's own in the WAL that isn't one of those.
    public var newestBackup: BackupDescription? {
        ownBackups.filter { damage[$0.label] == nil }
            .max { ($0.timeline, $0.stopLSN) < ($1.timeline, $1.stopLSN) }
    }
    /// The last of the cluster's own, if it is one of those.
    public var newestDamaged: (label: String, reason: String)? {
        ownBackups.max { ($0.timeline, $0.stopLSN) < ($1.timeline, $1.stopLSN) }
            .flatMap { newest in damage[newest.label].map { (newest.label, $0) } }
    }
    /// The newest commit in the repository.
    public var newestCommit: Moment?
    /// The oldest moment from which every later one can be reached; nil when none can.
    public var windowStart: Moment?
    /// From here on the rules of `[retention]` want all WAL; before, only what single backups need.
    public var keptFrom: Moment?

    /// Where the best recovery ends, when it doesn't reach the newest segment.
    public var unreached: Gap?
    /// The last moment that a recovery reaches then.
    public var reachEnd: Moment?

    public struct Gap: Sendable, Equatable {
        public var first: SegmentName
        public var last: SegmentName
        public var count: Int
        /// The newest commit before it and the oldest after it, when the neighbours' summaries tell.
        public var from: Moment?
        public var to: Moment?
        /// What is missing, file by file.
        public var missing: LineageGap?
        /// What the server still has of it.
        public var remedy: GapRemedy?
        /// What is there, but can't be replayed; then nothing is missing.
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
    /// Where a recovery to the newest moment ends.
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

/// The room that the repository's store has.
public struct SpaceObservation: Sendable {
    /// Bytes.
    public var free: Int64
    public var total: Int64
    /// Bytes a day by which the free space shrinks; nil when it isn't known yet, negative when it grows.
    public var shrinking: Double?

    public init(free: Int64, total: Int64, shrinking: Double?) {
        (self.free, self.total, self.shrinking) = (free, total, shrinking)
    }
}

/// A file or directory that is too open.
public struct PermissionFinding: Sendable, Equatable {
    public var isCritical: Bool
    /// A sentence.
    public var problem: String
    /// A command that mends it.
    public var remedy: String

    public init(_ isCritical: Bool, _ problem: String, remedy: String) {
        (self.isCritical, self.problem, self.remedy) = (isCritical, problem, remedy)
    }
}
