import WAL

/// The rules at work.
struct RetentionRules {
    private let backups: [RetainedBackup]
    private let timelines: [RetainedTimeline]
    private let policy: RetentionPolicy
    private let now: Moment
    private var reasons: [String: [String]] = [:]
    /// Backups from which every later moment must be reachable.
    private var anchors: Set<String> = []

    /// - Parameter backups: in the order of the WAL: a timeline comes after all that it can have left.
    init(backups: [RetainedBackup], timelines: [RetainedTimeline], policy: RetentionPolicy, now: Moment) {
        self.backups = backups
        self.timelines = timelines
        self.policy = policy
        self.now = now
    }

    /// Once as if all backups were sound, once without those of which something is gone, and once without those that a
    /// verification has found damaged as well: what it finds, or thinks to find, only ever adds to what stays.
    mutating func apply() {
        apply(to: backups)
        let whole = backups.filter { !$0.isVisiblyDamaged }
        if whole.count < backups.count { apply(to: whole) }
        let good = whole.filter { $0.damage == nil }
        if good.count < whole.count { apply(to: good) }
        keepNeeded()
    }

    private mutating func apply(to candidates: [RetainedBackup]) {
        if !policy.concernsBackups {
            for backup in candidates { keep(backup, "no rule says when backups expire") }
        }
        if let newest = candidates.last {
            keep(newest, newest.damage == nil ? "newest good backup" : "newest backup", isAnchor: true)
        }
        for branch in timelines { keepNewest(of: branch, candidates) }
        for backup in candidates {
            if backup.isPinned {
                if let until = backup.pinnedUntil {
                    if until >= now { keep(backup, "pinned until \(until)") }
                } else {
                    keep(backup, "pinned")
                }
            }
            if backup.isLeased { keep(backup, "in use by a restore or verification", isAnchor: true) }
        }
        if let count = policy.keepFull {
            for backup in candidates.filter(\.isFull).suffix(count) {
                keep(backup, "one of the newest \(count) full backups")
            }
        }
        periods(.day, policy.keepDaily, "daily of", candidates)
        periods(.week, policy.keepWeekly, "weekly of", candidates)
        periods(.month, policy.keepMonthly, "monthly of", candidates)
        if let days = policy.keepDays {
            let limit = before(Int64(days) * 86_400_000)
            for backup in candidates where backup.stopTime >= limit { keep(backup, "younger than \(days) days") }
        }
        if let window = policy.recoveryWindow { keepWindow(window, candidates) }
    }

    /// The newest backup of a branch that somebody may be on, whatever other branches have: one that had commits within a
    /// week, and what came on a timeline after all others had left it. Later it is taken for one that was given up.
    private mutating func keepNewest(of branch: RetainedTimeline, _ candidates: [RetainedBackup]) {
        let timeline = branch.history.timeline
        guard branch == timelines.last || (branch.lastCommit ?? now) >= before(7 * 86_400_000) else { return }
        let partings = timelines.compactMap { $0.history.switchPoint(from: timeline) }
        let own: RetainedBackup?
        if let last = partings.max() {
            own = candidates.last { $0.timeline == timeline && $0.stop > last }
        } else {
            own = candidates.last { isOnTheWay($0, to: branch.history) }
        }
        guard let own, own.label != candidates.last?.label else { return }
        keep(own, "newest \(own.damage == nil ? "good " : "")backup of timeline \(timeline)", isAnchor: true)
    }

    private mutating func keep(_ backup: RetainedBackup, _ reason: String, isAnchor: Bool = false) {
        if reasons[backup.label]?.contains(reason) != true { reasons[backup.label, default: []].append(reason) }
        if isAnchor { anchors.insert(backup.label) }
    }

    private func before(_ milliseconds: Int64) -> Moment {
        Moment(microseconds: now.microseconds - milliseconds * 1000)
    }

    /// The first backup of each of the last `count` periods that have one.
    private mutating func periods(
        _ period: RetentionPeriod, _ count: Int?, _ word: String, _ candidates: [RetainedBackup]
    ) {
        guard let count, count > 0 else { return }
        var first: [Int: RetainedBackup] = [:]
        // A period that hasn't come is none of the last ones.
        for backup in candidates where !backup.isFromTheFuture(now) {
            let number = period.number(of: backup.startTime, policy)
            if first[number] == nil { first[number] = backup }
        }
        for (_, backup) in first.sorted(by: { $0.key > $1.key }).prefix(count) {
            keep(backup, "\(word) \(period.name(of: backup.startTime, policy))")
        }
    }

    /// Everything that ended in the window; and for every timeline that lived in it the newest backup on the way to
    /// that timeline from before the window. By position as well as by time: the clock may have been wrong for a while.
    private mutating func keepWindow(_ window: Int64, _ candidates: [RetainedBackup]) {
        let begin = before(window)
        for backup in candidates where backup.stopTime > begin {
            keep(backup, "in the recovery window", isAnchor: true)
        }
        for timeline in timelines where livedSince(begin, timeline) {
            let path = candidates.filter { isOnTheWay($0, to: timeline.history) }
            if let anchor = newest(of: path, before: begin) {
                keep(anchor, "the recovery window begins with it", isAnchor: true)
            }
        }
    }

    private func livedSince(_ begin: Moment, _ timeline: RetainedTimeline) -> Bool {
        (timeline.lastCommit ?? now) >= begin || timeline == timelines.last
    }

    /// The newest backup of a timeline's path that ended before `begin` and lies before all that ended since.
    private func newest(of path: [RetainedBackup], before begin: Moment) -> RetainedBackup? {
        let first = path.lazy.filter { $0.stopTime > begin }.map(\.start).min()
        var latest = Moment(microseconds: .min)
        var newest: RetainedBackup?
        for backup in path.sorted(by: { $0.stop < $1.stop }) {
            // One that seems older than its predecessors was dated by a clock that was behind.
            if backup.stopTime >= latest && backup.stopTime <= begin && (first == nil || backup.stop <= first!) {
                newest = backup
            }
            latest = max(latest, backup.stopTime)
        }
        return newest
    }

    /// Where WAL that is younger than `age` can begin, on any timeline; nil where nobody knows. The newest backup that is
    /// older than that, kept or not, tells a position that is old enough.
    private func beginOfWAL(youngerThan age: Int64) -> LSN? {
        let begin = before(age)
        var starts: [LSN] = []
        for timeline in timelines where livedSince(begin, timeline) {
            let path = backups.filter { isOnTheWay($0, to: timeline.history) }
            guard !path.isEmpty else { continue }
            guard let old = newest(of: path, before: begin) else { return nil }
            starts.append(old.start)
        }
        return starts.min()
    }

    private func isOnTheWay(_ backup: RetainedBackup, to history: TimelineHistory) -> Bool {
        if backup.timeline == history.timeline { return true }
        guard let point = history.switchPoint(from: backup.timeline) else { return false }
        return backup.stop <= point
    }

    /// What kept backups refer to.
    private mutating func keepNeeded() {
        var queue = backups.filter { reasons[$0.label] != nil }
        while let backup = queue.popLast() {
            for label in backup.needs where label != backup.label {
                guard let needed = backups.first(where: { $0.label == label }) else { continue }
                if reasons[label] == nil { queue.append(needed) }
                keep(needed, "needed by \(backup.label)")
            }
        }
    }

    func decision(_ firstWAL: (_ since: Moment) -> LSN?) -> RetentionDecision {
        var decision = RetentionDecision()
        decision.verdicts = backups.map { backup in
            RetentionVerdict(
                label: backup.label, isKept: reasons[backup.label] != nil,
                reasons: (reasons[backup.label] ?? ["no rule keeps it any longer"])
                    + (backup.damage.map { ["damaged: \($0)"] } ?? [])
                    + (backup.isFromTheFuture(now) ? ["its time, \(backup.stopTime), is yet to come"] : []))
        }
        let kept = backups.filter { reasons[$0.label] != nil }
        // Without a backup WAL is all there is; a plain archive may be waiting for its first backup.
        // And without rules nothing goes: older WAL may belong to a copy that somebody else has.
        guard !kept.isEmpty && !policy.isEmpty else { return decision }
        let bounded = policy.recoveryWindow != nil || policy.keepWAL != nil
        let chain = bounded ? kept.filter { anchors.contains($0.label) } : kept.filter { !isOnlyPinned($0) }
        guard var from = chain.map(\.start).min() else { return decision }
        decision.walReason = policy.recoveryWindow != nil ? "the recovery window" : "the oldest kept backup"
        if let age = policy.keepWAL {
            // Where backups go sooner than WAL there never is one that is old enough.
            guard let begin = beginOfWAL(youngerThan: age) ?? firstWAL(before(age)) else { return decision }
            if begin < from {
                from = begin
                decision.walReason = "keep_wal"
            }
        }
        decision.keepWALFrom = from
        decision.islands = kept.filter { $0.start < from }
        return decision
    }

    /// A pin keeps a backup for years; it isn't meant to keep all WAL since.
    private func isOnlyPinned(_ backup: RetainedBackup) -> Bool {
        backup.isPinned && reasons[backup.label]?.allSatisfy { $0.hasPrefix("pinned") } == true
    }
}
