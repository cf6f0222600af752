import Messages
import WAL

/// Where the record of a restore point or transaction is, when no backup of the history reaches it.
extension Planner {
    /// No backup of this history precedes the restore point or the end of the transaction.
    func notFound(_ candidates: [Candidate]) throws -> PlanRefusal {
        guard makesOffers else { return refusal(.noBackup) }
        let oldest = candidates[0]
        let found = everywhere().map { (record: $0.record, timeline: $0.timeline) }
        guard let first = found.first(where: { oldest.path.contains($0.timeline, upTo: $0.record.end) }) ?? found.first
        else {
            if case .name(let name) = target.point { return try unknownRestorePoint(name, oldest) }
            return try unknownTransaction(oldest)
        }
        var others = otherTimelines(oldest.path)
        if request.backup != nil {
            var other = request
            other.backup = nil
            others = offers([(other, { "from backup \"\($0.backup.label)\"" })]) + others
        }
        let isOn = oldest.path.contains(first.timeline, upTo: first.record.end)
        if isOn, first.record.start >= oldest.backup.stop {
            // The WAL of the newest backup before it ends too early.
            let before = candidates.last { $0.backup.stop <= first.record.start } ?? oldest
            let refused = try beyond(try replayWAL(before))
            return PlanRefusal(target, refused.reason, nearest: others + refused.nearest, remarks: refused.remarks)
        }
        let time: Moment =
            switch first.record.content {
            case .commit(let mark), .abort(let mark): mark.time
            case .restorePoint(let point): point.time
            case .other: Moment(microseconds: 0)
            }
        let place: PlanRefusal.Whereabouts.Place =
            isOn
            ? .before(oldest.backup)
            : .off(oldest.path.target, left: oldest.path.steps.first { $0.timeline == first.timeline }?.end)
        let nearest = isOn && others.isEmpty ? offers([immediate(oldest.backup)]) : others
        return refusal(
            .elsewhere(.init(timeline: first.timeline, lsn: first.record.start, time: time, place: place)),
            nearest: nearest)
    }

    /// All places of the target's record in the archive, one for each range of a timeline's files.
    private func everywhere() -> [(timeline: TimelineID, record: ReplayRecord)] {
        guard let all = try? source.everySegment() else { return [] }
        let rule = StopRule(target: target, consistent: .zero)
        return all.timelines.flatMap { timeline in
            // What a timeline's first segment holds of its parent is its parent's.
            let path = path(to: timeline)
            let begin = path?.steps.last?.begin ?? .zero
            return all.runs(of: timeline).flatMap { run in
                let segments = WALSegments(
                    TimelinePath(TimelineHistory(timeline)), first: run.lowerBound, count: run.count,
                    segmentSize: source.segmentSize)
                let inherited = (try? first(rule, in: segments, from: .zero, before: begin)).flatMap { $0 }
                let own = (try? first(rule, in: segments, from: begin)).flatMap { $0 }
                return [inherited.map { (path?.timeline(at: $0.start) ?? timeline, $0) }, own.map { (timeline, $0) }]
                    .compactMap(\.self)
            }
        }
    }

    private func first(
        _ rule: StopRule, in segments: WALSegments, from begin: LSN, before end: LSN = LSN(.max)
    ) throws -> ReplayRecord? {
        var next = 0
        while next < segments.count,
            let index = try source.firstCandidate(in: segments, from: next, for: target), index < segments.count,
            segments[index].start(segmentSize: source.segmentSize) < end
        {
            next = index + 1
            guard let facts = try source.facts(of: segments, index..<next).first, rule.mayStop(in: facts) else {
                continue
            }
            var found: ReplayRecord?
            try source.landmarks(of: segments, at: index) { record in
                if record.start >= begin, record.start < end, rule.stop(at: record) != nil { found = record }
                return found == nil
            }
            if let found { return found }
        }
        return nil
    }

    private func unknownRestorePoint(_ name: String, _ oldest: Candidate) throws -> PlanRefusal {
        let wal = try replayWAL(oldest)
        var points: [RestorePoint] = []
        for index in wal.segments.indices {
            points += try wal.facts(at: index).restorePoints.filter { $0.lsn >= wal.backup.start }
        }
        /// Letters' case aside.
        func distance(_ point: RestorePoint) -> Int { editDistance(point.name.lowercased(), name.lowercased()) }
        let similar = points.sorted { distance($0) < distance($1) }
            .filter { distance($0) <= max(2, name.count / 2) }
        var nearest: [PlanRefusal.Alternative] = []
        if let best = similar.first {
            var other = request
            other.target.point = .name(best.name)
            nearest += offers([
                (
                    other,
                    { plan in
                        guard case .restorePoint(let point) = plan.stop?.record.content else { return nil }
                        return "at \(point.time)"
                    }
                )
            ])
        }
        return refusal(
            .unknownRestorePoint(name, similar: similar.isEmpty ? points.suffix(8) : similar), nearest: nearest,
            remarks: remarks(wal))
    }

    private func unknownTransaction(_ oldest: Candidate) throws -> PlanRefusal {
        guard case .xid(let xid) = target.point else { return refusal(.noBackup) }
        let wal = try replayWAL(oldest)
        var nearest: [PlanRefusal.Alternative] = []
        if let last = try wal.lastCommit(before: LSN(.max), from: wal.segments.count - 1) {
            var other = request
            other.target.point = .xid(last.xid)
            nearest += offers([(other, { $0.lastIncluded == last ? "the last transaction, \(last.time)" : nil })])
        }
        return refusal(.unknownTransaction(xid), nearest: nearest, remarks: remarks(wal))
    }

    private func remarks(_ wal: ReplayWAL<Source>) -> [String] {
        switch wal.ending {
        case .gap(let missing):
            return ["The archive has a gap (\(missing[0].sentence)); what lies after it can't be reached."]
        case .broken(let found): return [capitalized(found.sentence) + "; what lies after it can't be reached."]
        case .endOfArchive, .notYetArchived: return []
        }
    }
}
