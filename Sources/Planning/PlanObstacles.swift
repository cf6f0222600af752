import Messages
import WAL

/// Refusals, each with what can be reached instead.
extension Planner {
    // MARK: Offers

    /// `request` as an alternative to offer; nil when it can't be reached either.
    func offer(_ request: PlanRequest, _ meaning: (Plan) -> String?) -> PlanRefusal.Alternative? {
        makesOffers ? .proven(request, by: ask, meaning) : nil
    }

    /// Those of `candidates` that can be reached.
    func offers(_ candidates: [(request: PlanRequest, meaning: (Plan) -> String?)]) -> [PlanRefusal.Alternative] {
        candidates.compactMap { offer($0.request, $0.meaning) }
    }

    /// Plans another request, with the same archive.
    func ask(_ request: PlanRequest) throws -> Plan { try Planner(asking: request, like: self).plan() }

    /// The same target on another timeline.
    func onTimeline(_ timeline: TimelineID) -> PlanRequest {
        var other = request
        other.target.timeline = .number(timeline)
        return other
    }

    func onTimeline(_ timeline: TimelineID) -> (request: PlanRequest, meaning: (Plan) -> String?) {
        (onTimeline(timeline), { _ in "on timeline \(timeline)" })
    }

    /// The same target on every timeline where it can be reached and has another end than on `path`.
    func otherTimelines(_ path: TimelinePath?) -> [PlanRefusal.Alternative] {
        var plans: [Plan] = []
        return timelines().filter { $0 != path?.target }.suffix(16).compactMap { timeline in
            offer(onTimeline(timeline)) { plan in
                plans.append(plan)
                return "on timeline \(timeline)"
            }
        }.enumerated().filter { index, _ in !plans[..<index].contains { $0.endsLike(plans[index]) } }.map(\.element)
    }

    func immediate(_ backup: RestorableBackup) -> (request: PlanRequest, meaning: (Plan) -> String?) {
        var asked = request
        asked.target = RecoveryTarget(.immediate, timeline: target.timeline)
        asked.backup = backup.label
        // The history that is followed may lack it. A planner that makes no offers doesn't try.
        if makesOffers, (try? ask(asked)) == nil { asked.target.timeline = .number(backup.timeline) }
        return (asked, { _ in "the end of backup \"\(backup.label)\", \(backup.stopTime)" })
    }

    // MARK: Obstacles

    func tooEarly(_ oldest: Candidate) -> PlanRefusal {
        guard request.backup == nil else {
            var other = request
            other.backup = nil
            return refusal(
                .backupTooLate(oldest.backup),
                nearest: offers([immediate(oldest.backup), (other, { "from backup \"\($0.backup.label)\"" })]))
        }
        return refusal(
            .beforeFirstBackup(oldest.backup),
            nearest: offers([immediate(oldest.backup)]) + otherTimelines(oldest.path))
    }

    /// The WAL of the newest usable backup ends before the target.
    func beyond(_ wal: ReplayWAL<Source>) throws -> PlanRefusal {
        let last = try wal.lastRecord()
        let end = last?.end ?? wal.backup.start
        var latest = request
        latest.target.inclusive = true
        if case .current = target.timeline { latest.target.timeline = .number(wal.path.target) }
        func moment(_ plan: Plan) -> String { plan.lastIncluded.map { ", last transaction at \($0.time)" } ?? "" }
        switch wal.ending {
        case .endOfArchive:
            guard end >= wal.backup.stop else {
                let size = UInt64(source.segmentSize)
                let missing = wal.backup.start.rawValue / size + UInt64(wal.segments.count)
                // It was there when the backup ended.
                let last = max(missing, (wal.backup.stop.rawValue - min(1, wal.backup.stop.rawValue)) / size)
                return refusal(
                    .gap(try wholeGaps(wal.path, missing...last)), nearest: olderBackups(wal),
                    remarks: ["Backup \"\(wal.backup.label)\" isn't consistent without it."])
            }
            latest.target.point = .latest
            let others = target.point == .latest ? [] : otherTimelines(wal.path)
            let offers = others + offers([(latest, { "the end of the archive" + moment($0) })])
            return refusal(.afterLast(try lastEnd(wal), end: end), nearest: offers, remarks: partings(wal.path, others))
        case .gap(let missing):
            let numbers = missing[0].numbers.lowerBound...missing[missing.count - 1].numbers.upperBound
            return refusal(
                .gap(try wholeGaps(wal.path, numbers)),
                nearest: around(wal, last, latest, until: missing[missing.count - 1].to))
        case .broken(let found):
            return refusal(
                .broken(found),
                nearest: around(wal, last, latest, until: found.segment.start(segmentSize: source.segmentSize)))
        case .notYetArchived(let timeline, let begin):
            let step = wal.path.steps.firstIndex { $0.timeline == timeline } ?? 1
            let parent = wal.path.steps[max(0, step - 1)].timeline
            var candidates: [(request: PlanRequest, meaning: (Plan) -> String?)] = []
            if end >= wal.backup.stop, let last {
                latest.target.point = .lsn(last.start)
                candidates.append((latest, { "where timeline \(timeline) begins" + moment($0) }))
            }
            candidates.append(onTimeline(parent))
            return refusal(.timelineNotArchived(timeline, begin: begin), nearest: offers(candidates))
        }
    }

    /// What can be reached before and after a range that can't be replayed.
    private func around(
        _ wal: ReplayWAL<Source>, _ last: ReplayRecord?, _ request: PlanRequest, until end: LSN
    ) -> [PlanRefusal.Alternative] {
        var request = request
        var candidates: [(request: PlanRequest, meaning: (Plan) -> String?)] = []
        let isConsistent = last.map { $0.end >= wal.backup.stop } ?? false
        if isConsistent, let last {
            request.target.point = .lsn(last.start)
            candidates.append(
                (
                    request,
                    {
                        $0.end != last.end
                            ? nil
                            : "the last record before the gap"
                                + ($0.lastIncluded.map { ", last transaction at \($0.time)" } ?? "")
                    }
                ))
        }
        if let after = backups.first(where: { $0.start >= end }) { candidates.append(immediate(after)) }
        if target.point == .latest {
            candidates += ancestors(of: wal.path, leadingBeyond: last?.end ?? wal.backup.start)
        }
        let others = target.point == .latest ? [] : otherTimelines(wal.path)
        return offers(candidates) + (isConsistent ? [] : olderBackups(wal)) + others
    }

    /// The file in which a timeline was left holds what the next one's first file would.
    private func ancestors(
        of path: TimelinePath, leadingBeyond position: LSN
    ) -> [(request: PlanRequest, meaning: (Plan) -> String?)] {
        path.steps.dropLast().filter { $0.end.map { $0 > position } ?? false }.map { step in
            (
                onTimeline(step.timeline),
                { plan in
                    guard plan.end > position else { return nil }
                    return "on timeline \(step.timeline)"
                        + (plan.lastIncluded.map { ", last transaction at \($0.time)" } ?? "")
                }
            )
        }
    }

    /// The gaps of a history that reach into some segments, each from its beginning: it may lie before the backup that
    /// is stopped by it, and before every backup.
    func wholeGaps(_ path: TimelinePath, _ numbers: ClosedRange<UInt64>) throws -> [LineageGap] {
        let lineage = path.lineage(segmentSize: source.segmentSize)
        let every = try source.everySegment()
        let oldest = onPath(path).map { $0.backup.start.rawValue / UInt64(source.segmentSize) }.min() ?? 0
        let first = [numbers.lowerBound, oldest, lineage.archived(in: every).first?.numbers.lowerBound]
        return lineage.gaps(first.compactMap(\.self).min()!...numbers.upperBound, in: every)
            .filter { $0.numbers.upperBound >= numbers.lowerBound }
    }

    /// What the newest older backup that is consistent leads to: the target, or else the last record before the gap, or
    /// its own end.
    private func olderBackups(_ wal: ReplayWAL<Source>) -> [PlanRefusal.Alternative] {
        guard makesOffers, request.backup == nil else { return [] }
        for older in backups.reversed() where older.stop < wal.backup.stop {
            func meaning(_ plan: Plan) -> String {
                "from backup \"\(older.label)\"" + (plan.lastIncluded.map { ", last transaction at \($0.time)" } ?? "")
            }
            var same = request
            same.backup = older.label
            var candidates: [(request: PlanRequest, meaning: (Plan) -> String?)] = [(same, meaning)]
            if wal.path.contains(older.timeline, upTo: older.stop),
                let last = try? replayWAL((older, wal.path)).lastRecord(), last.end > older.stop
            {
                same.target.point = .lsn(last.start)
                same.target.inclusive = true
                if case .current = target.timeline { same.target.timeline = .number(wal.path.target) }
                candidates.append((same, meaning))
            }
            candidates.append(immediate(older))
            for candidate in candidates {
                let found = offers([candidate])
                if !found.isEmpty { return found }
            }
        }
        return []
    }

    /// Where the history and the timelines that are offered instead diverge.
    private func partings(_ path: TimelinePath, _ offered: [PlanRefusal.Alternative]) -> [String] {
        guard !offered.isEmpty else { return [] }
        return timelines().compactMap(self.path(to:)).filter { other in
            offered.contains { $0.arguments.suffix(2) == ["--target-timeline", other.target.description] }
        }.map { other in
            let (timeline, at) = path.parting(from: other)
            return timeline == other.target
                ? "This is the history of timeline \(path.target), which left timeline \(timeline) at LSN \(at); timeline "
                    + "\(timeline) has the target."
                : "This is the history of timeline \(path.target); timeline \(other.target), which parts from it at LSN "
                    + "\(at) of timeline \(timeline), has the target."
        }
    }

    /// The last commit or abort record, with which the target time is compared.
    private func lastEnd(_ wal: ReplayWAL<Source>) throws -> TransactionMark? {
        var latest: TransactionMark?
        for index in wal.segments.indices.reversed() where try wal.facts(at: index).hasEnds {
            try wal.records(at: index) { record in
                if let end = record.content.transactionEnd, end.time >= latest?.time ?? end.time { latest = end }
                return true
            }
            if latest != nil { break }
        }
        return latest
    }
}
