import WAL

/// From WAL that reaches the target to the plan.
extension Planner {
    func planToTheEnd(_ wal: ReplayWAL<Source>) throws -> Plan {
        switch wal.ending {
        case .endOfArchive: break
        case .gap, .broken: throw try beyond(wal)
        case .notYetArchived(let timeline, let begin):
            return try planToTheBranch(wal, timeline, begin)
        }
        guard let last = try wal.lastRecord(), last.end >= wal.backup.stop else { throw try beyond(wal) }
        var plan = try finish(
            wal, whole: wal, stop: nil, end: last.end, index: wal.segments.count - 1)
        let timeline = wal.path.target
        let left = histories.values.compactMap { history in
            history.switchPoint(from: timeline).map { (by: history.timeline, at: $0) }
        }.max { $0.at < $1.at }
        if let left, left.at > last.end, !LSN.agree(left.at, last.end, segmentSize: source.segmentSize) {
            plan.warnings.append(
                "Timeline \(timeline) continued to LSN \(left.at), as the history of timeline \(left.by) says, but its segments in "
                    + "the archive end before.")
        }
        return plan
    }

    /// Plans a recovery of everything archived on the history of a timeline of which no segment is archived yet: its
    /// target is where the timeline begins, since PostgreSQL would replay what the parent wrote afterwards.
    private func planToTheBranch(
        _ wal: ReplayWAL<Source>, _ timeline: TimelineID, _ begin: LSN
    ) throws -> Plan {
        guard let parent = wal.path.shorter.last(where: { !$0.steps.contains { $0.timeline == timeline } }) else {
            throw try beyond(wal)
        }
        let told = RecoveryTarget(.lsn(begin), inclusive: false, timeline: .number(parent.target))
        let shorter = try replayWAL((wal.backup, parent))
        let stop = try shorter.firstStop(StopRule(target: told, consistent: wal.backup.stop))
        guard let stop, stop.point.position >= wal.backup.stop else { throw try beyond(wal) }
        var plan = try finish(
            shorter, whole: wal, stop: stop.point, end: stop.point.position, index: stop.index)
        plan.told = told
        plan.firstExcluded = nil
        plan.warnings.append(
            "Timeline \(timeline) has begun at LSN \(begin), but nothing of it is archived yet: the recovery ends there."
        )
        return plan
    }

    /// The same WAL by the shortest history: a timeline of the path that begins after the target is omitted. The
    /// recovery ends at the same position, and the server records a true history; with the longer one it would record
    /// timelines that it never was on.
    func direct(_ wal: ReplayWAL<Source>, to stop: StoppingPoint) throws -> ReplayWAL<Source> {
        let number = (stop.record.end.rawValue - 1) / UInt64(source.segmentSize)
        for (path, step) in zip(wal.path.shorter, wal.path.steps) {
            guard let end = step.end, stop.record.end <= end,
                archived.contains(path.segment(number, segmentSize: source.segmentSize))
            else { continue }
            let shorter = try replayWAL((wal.backup, path))
            // The segments before the branch are the same.
            if Int(number) < shorter.first + shorter.segments.count {
                return shorter
            }
        }
        return wal
    }

    /// - Parameters:
    ///   - wal: the WAL that recovery reads.
    ///   - whole: the WAL of the target's whole history, which shows what comes after the end.
    func finish(
        _ wal: ReplayWAL<Source>, whole: ReplayWAL<Source>, stop: StoppingPoint?, end: LSN, index: Int,
        passedOver: [PassedOver] = []
    ) throws -> Plan {
        var offers: [PlanRefusal.Alternative] = []
        var doubts: [String] = []
        let changes =
            wal.backup.start < end
            ? PlanDoubt.changes.resolve(&doubts, ServerChanges()) {
                try source.serverChanges(of: wal.segments, through: index)
            }.within(wal.backup.start..<end) : ServerChanges()
        let undecided =
            makesOffers
            ? PlanDoubt.pending.resolve(&doubts, []) { try pending(wal, before: end, through: index) } : []
        let last = try wal.lastCommit(before: end, from: index)
        let next =
            stop == nil
            ? nil : PlanDoubt.next.resolve(&doubts, nil) { try whole.firstCommit(from: end, at: index) }
        let fault = stop == nil || !makesOffers ? nil : try faultAhead(of: end, wal, from: index)
        return Plan(
            target: target, told: target, backup: wal.backup, choice: choice(of: wal.backup), path: wal.path,
            history: whole.path.target,
            isLatestTimeline: latest(from: wal.backup.timeline) == wal.path.target,
            segments: wal.segments.ranges(through: index),
            partials: source.partials().filter { wal.segments.index(of: $0).map { $0 <= index } ?? false }.sorted(),
            segmentSize: source.segmentSize,
            majorVersion: source.majorVersion, stop: stop, end: end,
            lastIncluded: last, firstExcluded: next,
            changedFiles: whole.files(changedBy: [last, next].compactMap { $0 }),
            changes: changes, faultAhead: fault, pending: undecided,
            warnings: passedOver.map(\.sentence) + doubts
                + (try warnings(whole, stop: stop, index: index, &offers)),
            offers: offers)
    }

    private func choice(of backup: RestorableBackup) -> String {
        if request.backup != nil { return "It was requested." }
        let isNewest = !backups.contains { $0.damage != nil && $0.stop > backup.stop } || backup.damage != nil
        let newest = isNewest ? "newest" : "newest sound one"
        switch target.point {
        case .immediate, .latest: return "It is the \(newest) on the target's history."
        case .time(let time) where backup.stopTime > time:
            return "It is the \(newest) on the target's history that serves: no transaction ended between the target "
                + "and the backup's end."
        default: return "It is the \(newest) on the target's history that ended before the target."
        }
    }
}
