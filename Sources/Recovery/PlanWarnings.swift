import WAL

extension Planner {
    /// What a person should know before going ahead.
    func warnings(_ log: ReplayLog<Source>, stop: StoppingPoint?, index: Int) throws -> [String] {
        var warnings: [String] = []
        if case .name(let name) = target.point { warnings += try namesakes(name, log, stop: stop) }
        if case .time(let time) = target.point, let stop {
            warnings += try stragglers(time, log, stop: stop, index: index)
        }
        if log.backup.timeline != log.path.target || log.path.steps.count > 1 {
            warnings += try otherHistories(log)
        }
        return warnings
    }

    /// PostgreSQL takes the first restore point of a name; people may mean another.
    private func namesakes(_ name: String, _ log: ReplayLog<Source>, stop: StoppingPoint?) throws -> [String] {
        var all: [RestorePoint] = []
        let oldest = backups.first { log.path.contains($0.timeline, upTo: $0.stop) } ?? log.backup
        let whole = replayLog((oldest, log.path))
        if let known = try source.restorePoints(of: whole.segments) {
            all = known.filter { $0.name == name && $0.lsn >= whole.backup.start }
        } else {
            for index in whole.segments.indices {
                all += try whole.facts(at: index).restorePoints.filter {
                    $0.name == name && $0.lsn >= whole.backup.start
                }
            }
        }
        guard all.count > 1, let stop else { return [] }
        let others = all.filter { $0.lsn != stop.record.start }
        return [
            "Restore point \"\(name)\" exists \(all.count) times; this plan takes the one at LSN \(stop.record.start). "
                + "Others: "
                + others.map { "\($0.time) (--target-lsn \($0.lsn))" }.joined(separator: ", ") + "."
        ]
    }

    /// Commit times are not in the order of the log: transactions that committed by the target time may follow the one
    /// that stops the recovery.
    private func stragglers(
        _ time: Moment, _ log: ReplayLog<Source>, stop: StoppingPoint, index: Int
    ) throws -> [String] {
        var late = 0
        var last: TransactionMark?
        for index in index..<min(index + 2, log.segments.count) {
            guard let earliest = try log.facts(at: index).earliestEnd,
                target.inclusive ? earliest <= time : earliest < time
            else { continue }
            try log.records(at: index) { record in
                if record.start >= stop.position, let end = record.content.commit,
                    target.inclusive ? end.time <= time : end.time < time
                {
                    late += 1
                    last = end
                }
                return true
            }
        }
        guard let last else { return [] }
        return [
            "\(late) transaction\(late == 1 ? "" : "s") with a commit time before the target follow\(late == 1 ? "s" : "") "
                + "in the log after the point where PostgreSQL stops, and won't be there: the last is \(last.xid), "
                + "\(last.time). Use --target-lsn \(last.lsn) to include \(late == 1 ? "it" : "them")."
        ]
    }

    /// The history to the target leaves out what other timelines did after they parted.
    private func otherHistories(_ log: ReplayLog<Source>) throws -> [String] {
        guard case .time(let time) = target.point, [.own, .latest].contains(target.timeline) else { return [] }
        var warnings: [String] = []
        for step in log.path.steps {
            guard let end = step.end else { continue }
            let number = end.rawValue / UInt64(source.segmentSize)
            let name = SegmentName(timeline: step.timeline, number: number, segmentSize: source.segmentSize)
            guard
                let run = archived.run(containing: number, on: name.timeline)
                    ?? archived.run(containing: number + 1, on: name.timeline)
            else { continue }
            let last = LogSegments(
                SegmentName(timeline: name.timeline, number: run.upperBound, segmentSize: source.segmentSize),
                segmentSize: source.segmentSize)
            guard let facts = try source.facts(of: last, 0..<1).first, let latest = facts.lastCommit, latest.lsn >= end,
                latest.time >= time
            else { continue }
            warnings.append(
                "Timeline \(step.timeline) went on after timeline \(next(step, log.path)) branched off at \(end), until "
                    + "\(latest.time); this plan follows the newer one. For the older one: --target-timeline "
                    + "\(step.timeline).")
        }
        return warnings
    }

    private func next(_ step: TimelinePath.Step, _ path: TimelinePath) -> TimelineID {
        path.steps.first { $0.begin == step.end }?.timeline ?? path.target
    }
}
