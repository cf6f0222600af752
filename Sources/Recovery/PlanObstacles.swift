import WAL

/// Refusals, each with what can be reached instead.
extension Planner {
    func tooEarly(_ oldest: Candidate) -> PlanRefusal {
        var nearest = [immediate(oldest.backup)]
        if request.backup == nil,
            let earlier = backups.last(where: { $0.label != oldest.backup.label && isBeforeTarget($0) })
        {
            var other = target
            other.timeline = .number(earlier.timeline)
            nearest.append(.init(meaning: "on timeline \(earlier.timeline)", arguments: other.arguments))
        }
        let reason: PlanRefusal.Reason =
            request.backup == nil ? .beforeFirstBackup(oldest.backup) : .backupTooLate(oldest.backup)
        if request.backup != nil {
            nearest.append(.init(meaning: "from another backup", arguments: target.arguments))
        }
        return refusal(reason, nearest: nearest)
    }

    private func isBeforeTarget(_ backup: RestorableBackup) -> Bool {
        switch target.point {
        case .time(let time): backup.stopTime <= time
        case .lsn(let lsn): backup.stop <= lsn
        default: false
        }
    }

    private func immediate(_ backup: RestorableBackup) -> PlanRefusal.Alternative {
        .init(
            meaning: "the end of backup \"\(backup.label)\", \(backup.stopTime)",
            arguments: ["--target", "immediate", "--backup", backup.label])
    }

    /// The log of the newest usable backup ends before the target.
    func beyond(_ log: ReplayLog<Source>) throws -> PlanRefusal {
        let last = try log.lastRecord()
        let end = last?.end ?? log.backup.start
        let commit = try log.lastCommit(before: LSN(.max), from: log.segments.count - 1)
        var nearest: [PlanRefusal.Alternative] = []
        var latest = target
        latest.inclusive = true
        let moment = commit.map { ", last transaction at \($0.time)" } ?? ""
        switch log.ending {
        case .endOfArchive:
            guard end >= log.backup.stop else {
                let missing = log.path.segment(
                    log.backup.start.rawValue / UInt64(source.segmentSize) + UInt64(log.segments.count),
                    segmentSize: source.segmentSize)
                return refusal(
                    .gap([SegmentRange(first: missing, last: missing, count: 1)]),
                    remarks: ["Backup \"\(log.backup.label)\" isn't consistent without it."])
            }
            latest.point = .latest
            nearest.append(.init(meaning: "the end of the archive\(moment)", arguments: latest.arguments))
            return refusal(.afterLast(try lastEnd(log), end: end), nearest: nearest)
        case .gap(let missing):
            if end >= log.backup.stop, let last {
                latest.point = .lsn(last.start)
                nearest.append(.init(meaning: "the last record before the gap\(moment)", arguments: latest.arguments))
            }
            if let after = backups.first(where: {
                $0.start >= missing[missing.count - 1].last.end(segmentSize: source.segmentSize)
            }) {
                nearest.append(immediate(after))
            }
            return refusal(.gap(missing), nearest: nearest)
        case .notYetArchived(let timeline, let begin):
            let step = log.path.steps.firstIndex { $0.timeline == timeline } ?? 1
            let parent = log.path.steps[max(0, step - 1)].timeline
            if end >= log.backup.stop, let last {
                latest.point = .lsn(last.start)
                nearest.append(
                    .init(meaning: "where timeline \(timeline) begins\(moment)", arguments: latest.arguments))
            }
            latest.point = target.point
            latest.inclusive = target.inclusive
            latest.timeline = .number(parent)
            nearest.append(.init(meaning: "on timeline \(parent)", arguments: latest.arguments))
            return refusal(.timelineNotArchived(timeline, begin: begin), nearest: nearest)
        }
    }

    /// The last transaction end, commit or abort, that the target time is compared with.
    private func lastEnd(_ log: ReplayLog<Source>) throws -> TransactionMark? {
        var latest: TransactionMark?
        for index in log.segments.indices.reversed() where try log.facts(at: index).hasEnds {
            try log.records(at: index) { record in
                if let end = record.content.transactionEnd, end.time >= latest?.time ?? end.time { latest = end }
                return true
            }
            if latest != nil { break }
        }
        return latest
    }

    func unknownRestorePoint(_ name: String, _ oldest: Candidate) throws -> PlanRefusal {
        let log = replayLog(oldest)
        var points: [RestorePoint] = []
        for index in log.segments.indices {
            points += try log.facts(at: index).restorePoints.filter { $0.lsn >= log.backup.start }
        }
        let similar = points.sorted { similarity($0.name, name) < similarity($1.name, name) }
            .filter { similarity($0.name, name) <= max(2, name.count / 2) }
        var nearest: [PlanRefusal.Alternative] = []
        if let best = similar.first {
            var other = target
            other.point = .name(best.name)
            nearest.append(.init(meaning: "at \(best.time)", arguments: other.arguments))
        }
        return refusal(
            .unknownRestorePoint(name, similar: similar.isEmpty ? points.suffix(8) : similar), nearest: nearest,
            remarks: remarks(log))
    }

    func unknownTransaction(_ xid: UInt32, _ oldest: Candidate) throws -> PlanRefusal {
        let log = replayLog(oldest)
        var nearest: [PlanRefusal.Alternative] = []
        if let last = try log.lastCommit(before: LSN(.max), from: log.segments.count - 1) {
            var other = target
            other.point = .xid(last.xid)
            nearest.append(.init(meaning: "the last transaction, \(last.time)", arguments: other.arguments))
        }
        return refusal(.unknownTransaction(xid), nearest: nearest, remarks: remarks(log))
    }

    private func remarks(_ log: ReplayLog<Source>) -> [String] {
        guard case .gap(let missing) = log.ending else { return [] }
        return ["The archive has a gap (\(missing[0].description)); what lies behind it can't be reached."]
    }
}

/// How many single-letter edits separate two names, letters' case aside.
private func similarity(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.lowercased()), Array(b.lowercased()))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            (diagonal, row[j + 1]) = (row[j + 1], min(row[j] + 1, row[j + 1] + 1, diagonal + (x == b[j] ? 0 : 1)))
        }
    }
    return row[b.count]
}
