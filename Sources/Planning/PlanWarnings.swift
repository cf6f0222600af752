import Messages
import WAL

/// Doubts that a plan mentions when something could not be determined.
enum PlanDoubt: String {
    case pending = "It is not known whether prepared transactions will be pending there and hold their locks"
    case next = "It is not known which transaction is the first that is not included"
    case stragglers = "It is not known whether transactions with a commit time before the target follow in WAL"
    case changes = "It is not known whether replay will create tablespaces or require higher settings"

    func resolve<Found>(_ doubts: inout [String], _ nothing: Found, _ find: () throws -> Found) -> Found {
        do { return try find() } catch {
            let reason = (error as? any Explained).map {
                [$0.message, $0.detail].compactMap(\.self).joined(separator: ": ")
            }
            doubts.append("\(rawValue): \(reason ?? "\(error)").")
            return nothing
        }
    }
}

extension Planner {
    /// Warnings for the user before the recovery.
    ///
    /// - Parameter offers: gets the other targets that the warnings offer.
    func warnings(
        _ wal: ReplayWAL<Source>, stop: StoppingPoint?, index: Int, _ offers: inout [PlanRefusal.Alternative]
    ) throws -> [String] {
        // A plan that is made to test an offer needs no warnings.
        guard makesOffers else { return [] }
        var warnings: [String] = []
        if case .name(let name) = target.point { warnings += try namesakes(name, wal, stop: stop, &offers) }
        if case .time(let time) = target.point, let stop {
            // Behind the end damage doesn't matter.
            let found = PlanDoubt.stragglers.resolve(&warnings, []) {
                try stragglers(time, wal, stop: stop, index: index, &offers)
            }
            warnings += found
        }
        if wal.backup.timeline != wal.path.target || wal.path.steps.count > 1 {
            warnings += try otherHistories(wal, &offers)
        }
        return warnings
    }

    /// A request for everything up to and including the record that starts at a position, on this path.
    private func through(
        _ start: LSN, until end: LSN, on path: TimelinePath, _ meaning: String
    ) -> PlanRefusal.Alternative? {
        var other = request
        other.target.point = .lsn(start)
        other.target.inclusive = true
        for timeline in [target.timeline, .number(path.target)] {
            other.target.timeline = timeline
            let found = offer(other) { plan in
                plan.end == end && path.contains(plan.path.timeline(at: start), upTo: end) ? meaning : nil
            }
            if let found { return found }
        }
        return nil
    }

    /// Prepared transactions that are neither committed nor rolled back before `end`: they keep their locks.
    func pending(_ wal: ReplayWAL<Source>, before end: LSN, through index: Int) throws -> [Prepare] {
        let told = try source.preparations(of: wal.segments, through: index, before: end)
        var known: Set<UInt32> = []
        return try
            (source.prepared(in: wal.backup)
            + told.prepared.filter { $0.lsn >= wal.backup.start }.map(\.transaction))
            .filter { transaction in
                guard known.insert(transaction.xid).inserted, !told.ended.contains(transaction.xid) else {
                    return false
                }
                let decision = StopRule(target: RecoveryTarget(.xid(transaction.xid)), consistent: .zero)
                return try wal.firstStop(decision).map { $0.point.record.start >= end } ?? true
            }
    }

    /// PostgreSQL takes the first restore point of a name; the user may mean another.
    private func namesakes(
        _ name: String, _ wal: ReplayWAL<Source>, stop: StoppingPoint?, _ offers: inout [PlanRefusal.Alternative]
    ) throws -> [String] {
        var all: [RestorePoint] = []
        let oldest = backups.first { wal.path.contains($0.timeline, upTo: $0.stop) } ?? wal.backup
        let whole = try replayWAL((oldest, wal.path))
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
        let others = all.filter { $0.lsn != stop.record.start }.map { point in
            let found = through(point.lsn, until: point.end, on: wal.path, "\(point.time)")
            if let found { offers.append(found) }
            return found?.sentence ?? "the one of \(point.time), LSN \(point.lsn), which can't be reached"
        }
        return [
            "Restore point \"\(name)\" exists \(all.count) times; this plan takes the one at LSN \(stop.record.start). "
                + "Others: " + others.joined(separator: ", ") + "."
        ]
    }

    /// Commit times are not in the order of the WAL: transactions that committed by the target time may follow the one
    /// that stops the recovery.
    private func stragglers(
        _ time: Moment, _ wal: ReplayWAL<Source>, stop: StoppingPoint, index: Int,
        _ offers: inout [PlanRefusal.Alternative]
    ) throws -> [String] {
        func isLate(_ end: Moment) -> Bool { target.inclusive ? end <= time : end < time }
        var late = 0
        var last: TransactionMark?
        var next = index
        while next < wal.segments.count,
            let index = try source.firstEnding(by: time, orAt: target.inclusive, in: wal.segments, from: next)
        {
            next = index + 1
            let facts = try source.facts(of: wal.segments, index..<index + 1)[0]
            guard let earliest = facts.earliestEnd, isLate(earliest) else { continue }
            let isWhole = facts.firstRecord.map { $0 >= stop.position } ?? false
            if isWhole, wal.limit == nil, let latest = facts.latestEnd, isLate(latest) {
                late += facts.commits
                last = facts.lastCommit ?? last
                continue
            }
            try wal.landmarks(at: index) { record in
                if record.start >= stop.position, let end = record.content.commit, isLate(end.time) {
                    late += 1
                    last = end
                }
                return true
            }
        }
        guard let last else { return [] }
        let all = late == 1 ? "it" : "them"
        let offer = through(last.lsn, until: last.end, on: wal.path, "the last of them is included as well")
        if let offer { offers.append(offer) }
        return [
            "\(late) transaction\(late == 1 ? "" : "s") with a commit time before the target follow\(late == 1 ? "s" : "") "
                + "in WAL after the point where PostgreSQL stops, and won't be included: the last is \(last.xid), "
                + "\(last.time)."
                + (offer.map { " Use \($0.arguments.joined(separator: " ")) to include \(all)." } ?? "")
        ]
    }

    /// The history to the target omits what other timelines did after they diverged.
    private func otherHistories(
        _ wal: ReplayWAL<Source>, _ offers: inout [PlanRefusal.Alternative]
    ) throws -> [String] {
        guard case .time(let time) = target.point, [.own, .latest].contains(target.timeline) else { return [] }
        var warnings: [String] = []
        for step in wal.path.steps {
            guard let end = step.end else { continue }
            let number = end.rawValue / UInt64(source.segmentSize)
            let name = SegmentName(timeline: step.timeline, number: number, segmentSize: source.segmentSize)
            guard
                let run = archived.run(containing: number, on: name.timeline)
                    ?? archived.run(containing: number + 1, on: name.timeline)
            else { continue }
            let last = WALSegments(
                SegmentName(timeline: name.timeline, number: run.upperBound, segmentSize: source.segmentSize),
                segmentSize: source.segmentSize)
            guard let facts = try source.facts(of: last, 0..<1).first, let latest = facts.lastCommit, latest.lsn >= end,
                latest.time >= time
            else { continue }
            let older = offer(onTimeline(step.timeline)) { _ in "on timeline \(step.timeline)" }
            if let older { offers.append(older) }
            warnings.append(
                "Timeline \(step.timeline) continued after timeline \(next(step, wal.path)) branched off at \(end), until "
                    + "\(latest.time); this plan follows the newer one."
                    + (older.map { " For the older one: \($0.arguments.joined(separator: " "))." } ?? ""))
        }
        return warnings
    }

    private func next(_ step: TimelinePath.Step, _ path: TimelinePath) -> TimelineID {
        path.steps.first { $0.begin == step.end }?.timeline ?? path.target
    }
}
