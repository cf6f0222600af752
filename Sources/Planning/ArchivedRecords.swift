public import WAL

// Converts summaries and records of the archive into the planner's types.

extension SegmentOutline {
    public init(_ summary: SegmentSummary) {
        self.init(summary.facts)
        firstRecord = summary.firstRecord
        lastRecord = summary.lastRecord
    }

    public init(_ facts: SegmentFacts) {
        self.init(
            earliestEnd: facts.earliestStop, latestEnd: facts.latestStop, firstCommit: facts.firstCommit,
            lastCommit: facts.lastCommit, commits: Int(facts.commits), lowestXID: facts.lowestXID,
            highestXID: facts.highestXID,
            restorePoints: facts.restorePoints)
    }

    /// Adds the record across the left boundary.
    public mutating func prepend(_ facts: SegmentFacts, at lsn: LSN) {
        let other = SegmentOutline(facts)
        firstRecord = lsn
        lastRecord = lastRecord ?? lsn
        earliestEnd = [earliestEnd, other.earliestEnd].compactMap { $0 }.min()
        latestEnd = [latestEnd, other.latestEnd].compactMap { $0 }.max()
        firstCommit = other.firstCommit ?? firstCommit
        lastCommit = lastCommit ?? other.lastCommit
        commits += other.commits
        lowestXID = [lowestXID, other.lowestXID].compactMap { $0 }.min()
        highestXID = [highestXID, other.highestXID].compactMap { $0 }.max()
        restorePoints = other.restorePoints + restorePoints
    }

    public mutating func prepend(_ record: ReplayRecord) {
        var facts = SegmentFacts()
        if let end = record.content.transactionEnd {
            (facts.earliestStop, facts.latestStop) = (end.time, end.time)
            (facts.lowestXID, facts.highestXID) = (end.xid, end.xid)
        }
        if let commit = record.content.commit {
            (facts.firstCommit, facts.lastCommit, facts.commits) = (commit, commit, 1)
        }
        if case .restorePoint(let point) = record.content { facts.restorePoints = [point] }
        prepend(facts, at: record.start)
    }
}

extension ReplayRecord {
    /// Nil when the summaries don't hold the record's content.
    public init?(_ boundary: BoundaryRecord) {
        guard let facts = boundary.facts else { return nil }
        let content: Content
        if let commit = facts.firstCommit {
            content = .commit(commit)
        } else if let time = facts.earliestStop, let xid = facts.lowestXID {
            content = .abort(TransactionMark(lsn: boundary.header.lsn, end: boundary.end, time: time, xid: xid))
        } else if let point = facts.restorePoints.first {
            content = .restorePoint(point)
        } else {
            content = .other
        }
        self.init(start: boundary.header.lsn, end: boundary.end, content: content)
    }

    public init(_ record: WALRecord) {
        func mark(_ end: TransactionEnd) -> TransactionMark {
            TransactionMark(lsn: record.lsn, end: record.end, time: end.time, xid: end.xid)
        }
        let content: Content =
            switch record.kind {
            case .commit(let end): .commit(mark(end))
            case .abort(let end): .abort(mark(end))
            case .restorePoint(let point): .restorePoint(point)
            default: .other
            }
        self.init(start: record.lsn, end: record.end, content: content)
    }
}
