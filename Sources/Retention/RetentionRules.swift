import Messages
import WAL

/// Applies the rules of retention.
struct RetentionRules {
    private let backups: [RetainedBackup]
    private let timelines: [RetainedTimeline]
    private let policy: RetentionPolicy
    /// By the clock.
    private let now: Moment
    private let time: ProvenTime
    private let branches: RetainedBranches
    private var reasons: [String: [String]] = [:]
    /// How much WAL each kept backup holds.
    private var holds: [String: Hold] = [:]

    /// The WAL that a kept backup holds.
    private enum Hold: Int {
        /// From its start to its stop. A pin keeps a backup for years, but not all WAL since.
        case own
        /// All later WAL, unless a rule says how far back.
        case rest
        /// All later WAL, whatever the rules say.
        case always
    }

    /// - Parameter backups: in the order of the WAL: a timeline comes after all its possible ancestors.
    init(backups: [RetainedBackup], timelines: [RetainedTimeline], policy: RetentionPolicy, now: Moment) {
        self.backups = backups
        self.timelines = timelines
        self.policy = policy
        self.now = now
        time = ProvenTime(backups.filter { !$0.isAside }, now: now)
        branches = RetainedBranches(timelines, now: time.present)
    }

    /// Applied as if all backups were sound, then without those of which objects are missing, and then also without
    /// those that a verification found damaged: a finding of damage, right or wrong, only ever keeps more.
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
            // Where one timeline's history doesn't have all of them, it is the newest one's.
            let history = timelines.last { $0.history.timeline == newest.timeline }?.history
            let isOnly = candidates.allSatisfy { one in
                one.timeline == newest.timeline
                    || history?.canBegin(withBackupOn: one.timeline, stop: one.stop) ?? false
            }
            keep(
                newest,
                "newest \(newest.damage == nil ? "good " : "")backup"
                    + (isOnly ? "" : " of timeline \(newest.timeline)"), .always)
        }
        for branch in timelines {
            keepNewest(of: branch, candidates)
            keepPossibleAncestors(of: branch, candidates)
        }
        for backup in candidates {
            if backup.isPinned {
                if let until = backup.pinnedUntil {
                    if until >= time.present { keep(backup, "pinned until \(until)", .own) }
                } else {
                    keep(backup, "pinned", .own)
                }
            }
            if backup.isLeased { keep(backup, "in use by a restore or verification", .always) }
        }
        count(candidates)
        // Backups of one branch don't help a server on another.
        for branch in branches.living {
            count(
                candidates.filter { isOnTheWay($0, to: branch.history) },
                of: " in the history of timeline \(branch.history.timeline)")
        }
        if let days = policy.keepDays {
            let limit = before(Int64(days) * 86_400_000)
            for backup in candidates where backup.stopTime >= limit {
                keep(backup, "younger than \(counted(days, "day"))" + exception(backup, Int64(days) * 86_400_000))
            }
        }
        if let window = policy.recoveryWindow { keepWindow(window, candidates) }
    }

    /// Keeps the newest backup of a living branch, whatever other branches have; a backup that was taken after all
    /// other timelines branched off shows that the branch lives, as WAL does.
    private mutating func keepNewest(of branch: RetainedTimeline, _ candidates: [RetainedBackup]) {
        let timeline = branch.history.timeline
        guard branches.isRecent(branch) else { return }
        var newest: RetainedBackup?
        if let last = branches.lastParting(from: timeline) {
            newest = candidates.last { $0.timeline == timeline && $0.stop > last }
        }
        if newest == nil, branches.isLiving(timeline) {
            newest = candidates.last { isOnTheWay($0, to: branch.history) }
        }
        guard let newest, newest.label != candidates.last?.label else { return }
        keep(newest, "newest \(newest.damage == nil ? "good " : "")backup of timeline \(timeline)", .always)
    }

    /// What may be the only way to a timeline stays until its history tells.
    private mutating func keepPossibleAncestors(of branch: RetainedTimeline, _ candidates: [RetainedBackup]) {
        guard let end = branch.unknownBefore else { return }
        let timeline = branch.history.timeline
        for backup in candidates where backup.timeline < timeline && backup.stop <= end {
            keep(backup, "may lead to timeline \(timeline), whose history file is missing", .always)
        }
    }

    private mutating func keep(_ backup: RetainedBackup, _ reason: String, _ hold: Hold = .rest) {
        if reasons[backup.label]?.contains(reason) != true { reasons[backup.label, default: []].append(reason) }
        // WAL archived since its branch was put aside continues other backups. A process that reads the backup now may
        // have begun before that.
        let most: Hold = backup.isAside && !backup.isLeased ? .own : .always
        let holding = hold.rawValue < most.rawValue ? hold : most
        if holding.rawValue > (holds[backup.label] ?? .own).rawValue { holds[backup.label] = holding }
    }

    private func holds(_ backup: RetainedBackup, _ hold: Hold) -> Bool {
        (holds[backup.label] ?? .own).rawValue >= hold.rawValue
    }

    /// The rules that count, over some of the backups.
    /// - Parameter scope: describes these, in the reasons for those that aren't kept anyway.
    private mutating func count(_ backups: [RetainedBackup], of scope: String = "") {
        if let count = policy.keepFull {
            for backup in backups.filter(\.isFull).suffix(count) {
                keep(
                    backup, count == 1 ? "newest for keep_full = 1" : "one of the newest \(count) full backups",
                    in: scope)
            }
        }
        periods(.day, policy.keepDaily, "daily of", backups, in: scope)
        periods(.week, policy.keepWeekly, "weekly of", backups, in: scope)
        periods(.month, policy.keepMonthly, "monthly of", backups, in: scope)
    }

    private mutating func keep(_ backup: RetainedBackup, _ reason: String, in scope: String) {
        if reasons[backup.label]?.contains(reason) != true { keep(backup, reason + scope) }
    }

    /// For a backup that is old by the clock, and young by the time that the backups prove.
    private func exception(_ backup: RetainedBackup, _ milliseconds: Int64) -> String {
        let age = now.microseconds.subtractingReportingOverflow(backup.stopTime.microseconds).partialValue
        return age / 1000 > milliseconds ? ", if a leap of the clock does not count" : ""
    }

    private func before(_ milliseconds: Int64) -> Moment {
        time.before(milliseconds * 1000)
    }

    /// The first backup of each of the last `count` periods that have one.
    private mutating func periods(
        _ period: RetentionPeriod, _ count: Int?, _ word: String, _ candidates: [RetainedBackup], in scope: String
    ) {
        guard let count, count > 0 else { return }
        var first: [Int: RetainedBackup] = [:]
        // Periods in the future aren't among the last ones.
        for backup in candidates where !backup.isFromTheFuture(now) {
            let number = period.number(of: backup.startTime, policy)
            if first[number] == nil { first[number] = backup }
        }
        for (_, backup) in first.sorted(by: { $0.key > $1.key }).prefix(count) {
            keep(backup, "\(word) \(period.name(of: backup.startTime, policy))", in: scope)
        }
    }

    /// Keeps all backups that ended in the window; and for every timeline with commits in it, the newest backup in its
    /// history from before the window. By position as well as by time: the clock may have been wrong for a while.
    private mutating func keepWindow(_ window: Int64, _ candidates: [RetainedBackup]) {
        let begin = before(window)
        for backup in candidates where backup.stopTime > begin {
            keep(backup, "in the recovery window" + exception(backup, window), .always)
        }
        for timeline in timelines where livedSince(begin, timeline) {
            let path = candidates.filter { isOnTheWay($0, to: timeline.history) }
            if let anchor = newest(of: path, before: begin) {
                keep(anchor, "the recovery window begins with it", .always)
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
            // One that seems older than its predecessors was dated by a slow clock.
            if backup.stopTime >= latest && backup.stopTime <= begin && (first == nil || backup.stop <= first!) {
                newest = backup
            }
            latest = max(latest, backup.stopTime)
        }
        return newest
    }

    /// Where WAL younger than `age` can begin, on any timeline; nil where unknown. The newest backup that is older than
    /// that, kept or not, has a position that is old enough.
    private func beginOfWAL(youngerThan age: Int64) -> LSN? {
        let begin = before(age)
        var starts: [LSN] = []
        for timeline in timelines where livedSince(begin, timeline) {
            // The age of a position on a branch that was put aside says nothing about other branches.
            let path = backups.filter { !$0.isAside && isOnTheWay($0, to: timeline.history) }
            guard !path.isEmpty else { continue }
            guard let old = newest(of: path, before: begin) else { return nil }
            starts.append(old.start)
        }
        return starts.min()
    }

    private func isOnTheWay(_ backup: RetainedBackup, to history: TimelineHistory) -> Bool {
        history.canBegin(withBackupOn: backup.timeline, stop: backup.stop)
    }

    /// Keeps the backups to which kept ones refer. They hold WAL as long as one of these does.
    private mutating func keepNeeded() {
        var queue = backups.filter { reasons[$0.label] != nil }
        while let backup = queue.popLast() {
            for label in backup.needs where label != backup.label {
                guard let needed = backups.first(where: { $0.label == label }) else { continue }
                let (wasKept, held) = (reasons[label] != nil, holds[label])
                keep(needed, "needed by \(backup.label)", holds(backup, .rest) ? .rest : .own)
                if !wasKept || holds[label] != held { queue.append(needed) }
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
        // Without a backup there is only WAL; a plain archive may be waiting for its first backup. And without rules
        // nothing is removed: older WAL may belong to a copy elsewhere.
        guard !kept.isEmpty && !policy.isEmpty else { return decision }
        let bounded = policy.recoveryWindow != nil || policy.keepWAL != nil
        let chain = kept.filter { holds($0, bounded ? .always : .rest) }
        guard var from = chain.map(\.start).min() else { return decision }
        decision.walReason = policy.recoveryWindow != nil ? "the recovery window" : "the oldest kept backup"
        if let age = policy.keepWAL {
            // If backups expire earlier than WAL, there never is one that is old enough.
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
}
