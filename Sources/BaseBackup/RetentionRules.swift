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

    init(backups: [RetainedBackup], timelines: [RetainedTimeline], policy: RetentionPolicy, now: Moment) {
        // By time, then position; a name decides nothing.
        self.backups = backups.sorted { ($0.stopTime, $0.stop) < ($1.stopTime, $1.stop) }
        self.timelines = timelines
        self.policy = policy
        self.now = now
    }

    private var good: [RetainedBackup] { backups.filter { !$0.isDamaged } }

    mutating func apply() {
        if !policy.concernsBackups {
            for backup in backups { keep(backup, "no rule says when backups expire") }
        }
        if let newest = good.last ?? backups.last { keep(newest, "newest good backup", isAnchor: true) }
        for backup in backups {
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
            for backup in good.filter(\.isFull).suffix(count) {
                keep(backup, "one of the newest \(count) full backups")
            }
        }
        periods(.day, policy.keepDaily, "daily of")
        periods(.week, policy.keepWeekly, "weekly of")
        periods(.month, policy.keepMonthly, "monthly of")
        if let days = policy.keepDays {
            let limit = before(Int64(days) * 86_400_000)
            for backup in backups where backup.stopTime >= limit { keep(backup, "younger than \(days) days") }
        }
        if let window = policy.recoveryWindow { keepWindow(window) }
        keepNeeded()
    }

    private mutating func keep(_ backup: RetainedBackup, _ reason: String, isAnchor: Bool = false) {
        if reasons[backup.label]?.contains(reason) != true { reasons[backup.label, default: []].append(reason) }
        if isAnchor { anchors.insert(backup.label) }
    }

    private func before(_ milliseconds: Int64) -> Moment {
        Moment(microseconds: now.microseconds - milliseconds * 1000)
    }

    /// The first good backup of each of the last `count` periods that have one.
    private mutating func periods(_ period: RetentionPeriod, _ count: Int?, _ word: String) {
        guard let count, count > 0 else { return }
        var first: [Int: RetainedBackup] = [:]
        for backup in good {
            let number = period.number(of: backup.startTime, policy)
            if first[number] == nil { first[number] = backup }
        }
        for (_, backup) in first.sorted(by: { $0.key > $1.key }).prefix(count) {
            keep(backup, "\(word) \(period.name(of: backup.startTime, policy))")
        }
    }

    /// Everything that ended in the window; and for every timeline that lived in it the newest good backup on the way to
    /// that timeline that ended before the window began and lies before all of these. By position as well as by time: the
    /// clock may have been wrong for a while.
    private mutating func keepWindow(_ window: Int64) {
        let begin = before(window)
        for backup in backups where backup.stopTime > begin {
            keep(backup, "in the recovery window", isAnchor: !backup.isDamaged)
        }
        for timeline in timelines where (timeline.lastCommit ?? now) >= begin || timeline == timelines.last {
            let path = good.filter { isOnTheWay($0, to: timeline.history) }
            let first = path.lazy.filter { $0.stopTime > begin }.map(\.start).min()
            var latest = Moment(microseconds: .min)
            var anchor: RetainedBackup?
            for backup in path.sorted(by: { $0.stop < $1.stop }) {
                // One that seems older than its predecessors was dated by a clock that was behind.
                if backup.stopTime >= latest && backup.stopTime <= begin && (first == nil || backup.stop <= first!) {
                    anchor = backup
                }
                latest = max(latest, backup.stopTime)
            }
            if let anchor { keep(anchor, "the recovery window begins with it", isAnchor: true) }
        }
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

    func decision() -> RetentionDecision {
        var decision = RetentionDecision()
        decision.verdicts = backups.map { backup in
            RetentionVerdict(
                label: backup.label, isKept: reasons[backup.label] != nil,
                reasons: reasons[backup.label] ?? ["no rule wants it any more"])
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
            // The newest backup that is older than that, kept or not, tells a position that is old enough.
            guard let old = backups.last(where: { $0.stopTime <= before(age) }) else { return decision }
            if old.start < from {
                from = old.start
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
