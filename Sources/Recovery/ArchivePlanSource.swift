import Platform
public import Repository
public import WAL

/// Answers the planner from a repository: names by listing, facts from the summaries in the segments' heads, records by
/// reading segments.
public final class ArchivePlanSource: PlanSource {
    public let majorVersion: Int
    public let segmentSize: UInt32
    private let store: any ObjectStore
    private let incarnation: Incarnation
    private let known: [RestorableBackup]
    private let jobs: Int
    private let usePartials: Bool
    /// A dead server's own, which are read where they lie.
    private let waiting: WaitingWAL
    private var local: [SegmentName: WaitingWAL.Segment] = [:]
    private var partialSegments: Set<SegmentName> = []
    private var summaries: [SegmentName: SegmentSummary] = [:]
    /// The segments read last.
    private var recent: [SegmentRecords] = []

    /// - Parameters:
    ///   - segmentSize: in bytes, as the backups or the incarnation's marker name it.
    ///   - backups: the complete ones.
    ///   - jobs: how many summaries are read at once.
    ///   - usePartials: where a segment is missing, take what a `.partial` of it holds.
    ///   - waiting: counts as if it were archived already.
    public init(
        store: any ObjectStore, incarnation: Incarnation, segmentSize: UInt32, backups: [RestorableBackup], jobs: Int,
        usePartials: Bool = false, waiting: WaitingWAL = WaitingWAL()
    ) {
        (self.store, self.incarnation, self.segmentSize) = (store, incarnation, segmentSize)
        (known, self.jobs, self.usePartials, self.waiting) = (backups, jobs, usePartials, waiting)
        majorVersion = incarnation.major
    }

    public func backups() -> [RestorableBackup] { known }

    public func histories() throws -> [TimelineID: TimelineHistory] {
        var found: [TimelineID: TimelineHistory] = [:]
        for timeline in try store.histories(of: incarnation) {
            guard let text = try store.history(timeline, of: incarnation) else { continue }
            found[timeline] = try TimelineHistory(timeline: timeline, file: String(decoding: text, as: UTF8.self))
        }
        return found.merging(waiting.histories) { archived, _ in archived }
    }

    /// Segments older than every backup can't be part of a recovery and aren't listed.
    public func segments() throws -> SegmentSet { try segments(from: known.map(\.start).min() ?? .zero) }
    public func everySegment() throws -> SegmentSet { try segments(from: .zero) }

    private func segments(from oldest: LSN) throws -> SegmentSet {
        var all: Set<SegmentName> = []
        for timeline in try store.timelines(of: incarnation) {
            let first = SegmentName(timeline: timeline, containing: oldest, segmentSize: segmentSize)
            all.formUnion(try store.segments(of: incarnation, timeline: timeline, from: first))
            if usePartials {
                partialSegments.formUnion(try store.partials(of: incarnation, timeline: timeline, from: first))
            }
        }
        for (name, segment) in waiting.segments {
            if segment.isLast {
                if all.contains(name) { continue }
                // Of two copies the one with more records is kept.
                if local[name] == nil, partialSegments.contains(name), let end = endOfPartial(name),
                    end >= segment.summary.end
                {
                    continue
                }
                partialSegments.insert(name)
            } else {
                all.insert(name)
            }
            local[name] = segment
            summaries[name] = segment.summary
        }
        partialSegments.subtract(all)
        return SegmentSet(all.union(partialSegments).sorted(), segmentSize: segmentSize)
    }

    private func endOfPartial(_ name: SegmentName) -> LSN? {
        try? store.stored(.partial(name), of: incarnation).summary(reading: name).end
    }

    public func isPartial(_ name: SegmentName) -> Bool { partialSegments.contains(name) }
    public func partials() -> Set<SegmentName> { partialSegments }

    private func file(_ name: SegmentName) -> ArchiveFileName {
        partialSegments.contains(name) ? .partial(name) : .segment(name)
    }

    public func facts(of path: LogSegments, _ range: Range<Int>) throws -> [SegmentOutline] {
        // The record across the left boundary may have begun several segments before.
        var first = max(0, range.lowerBound - 1)
        try fetch(path[first..<range.upperBound])
        while first > 0, summaries[path[first]]?.firstRecord == nil {
            first -= 1
            try fetch(path[first...first])
        }
        var continuity = Continuity()
        var outlines: [SegmentOutline] = []
        for index in first..<range.upperBound {
            guard let summary = summaries[path[index]] else { throw unreadable(path[index]) }
            var boundary: BoundaryRecord?
            switch continuity.add(summary) {
            case .open: break
            case .joined(let record): boundary = record
            case .broken(let link): throw link
            }
            guard range.contains(index) else { continue }
            var outline = SegmentOutline(summary)
            if let boundary {
                if let facts = boundary.facts {
                    outline.prepend(facts, at: boundary.header.lsn)
                } else {
                    let read = try read(path, at: index)
                    let record = read.first
                    if record == nil, let damage = read.damage { throw damage }
                    if let record, record.start == boundary.header.lsn { outline.prepend(record) }
                }
            }
            outlines.append(outline)
        }
        return outlines
    }

    public func records(of path: LogSegments, at index: Int, visit: (LogRecord) throws -> Bool) throws {
        let read = try read(path, at: index)
        guard try read.visitAll(visit) else { return }
        // Behind what was looked for, damage doesn't matter.
        if let damage = read.damage { throw damage }
    }

    public func landmarks(of path: LogSegments, at index: Int, visit: (LogRecord) throws -> Bool) throws {
        let read = try read(path, at: index)
        for record in read.landmarks where try !visit(record) { return }
        if let damage = read.damage { throw damage }
    }

    public func files(
        changedBy transactions: Set<UInt32>, in path: LogSegments, at index: Int
    ) throws -> [UInt32: Set<RelationFile>] {
        try read(path, at: index).files(changedBy: transactions)
    }

    /// The planner looks at the one segment around the target several times.
    private func read(_ path: LogSegments, at index: Int) throws -> SegmentRecords {
        if let known = recent.first(where: { $0.name == path[index] }) { return known }
        var first = index
        var crossing: LogRecord?
        if let boundary = try boundary(of: path, at: index) {
            crossing = LogRecord(boundary)
            if crossing == nil {
                // Too long for the summaries: it has to be read from where it begins.
                repeat { first -= 1 } while try first > 0 && summary(of: path[first]).firstRecord == nil
            }
        }
        var records = SegmentRecords(
            path[index], segmentSize: segmentSize, from: path[first].start(segmentSize: segmentSize),
            crossing: crossing)
        try records.read(
            path[first...index].map { name in
                SegmentRecords.Piece(
                    name: name,
                    place: try local[name].map { .file($0.path, $0.contents) }
                        ?? .stored(store.stored(file(name), of: incarnation)))
            })
        recent = recent.suffix(2) + [records]
        return records
    }

    /// The record across the left boundary of `path[index]`, put together from the summaries.
    private func boundary(of path: LogSegments, at index: Int) throws -> BoundaryRecord? {
        guard index > 0, try summary(of: path[index]).head != nil else { return nil }
        var first = index - 1
        while try first > 0 && summary(of: path[first]).firstRecord == nil { first -= 1 }
        var continuity = Continuity()
        var found: BoundaryRecord?
        for place in first...index {
            switch continuity.add(try summary(of: path[place])) {
            case .open: found = nil
            case .joined(let record): found = record
            case .broken(let link): throw link
            }
        }
        return found
    }

    private func unreadable(_ name: SegmentName) -> Problem {
        Problem(
            "segment \"\(name)\" was stored without a summary",
            detail: "It was written by a PostgreSQL version that tidemark could not read.")
    }

    private func summary(of name: SegmentName) throws -> SegmentSummary {
        try fetch([name])
        guard let summary = summaries[name] else { throw unreadable(name) }
        return summary
    }

    /// Reads the summaries that aren't at hand yet, several at once.
    private func fetch(_ names: some Collection<SegmentName>) throws {
        let missing = names.filter { summaries[$0] == nil }
        guard !missing.isEmpty else { return }
        let (store, incarnation) = (store, incarnation)
        try mapInOrder(
            missing.map { ($0, file($0)) }, workers: missing.count < 4 ? 1 : jobs, ahead: 64,
            transform: { name, file -> (SegmentName, SegmentSummary?) in
                let stored = try store.stored(file, of: incarnation)
                return (name, try file.isPartial ? stored.summary(reading: name) : stored.summary())
            }, consume: { name, summary in summaries[name] = summary })
    }
}

extension SegmentOutline {
    init(_ summary: SegmentSummary) {
        self.init(summary.facts)
        firstRecord = summary.firstRecord
        lastRecord = summary.lastRecord
    }

    init(_ facts: SegmentFacts) {
        self.init(
            earliestEnd: facts.earliestStop, latestEnd: facts.latestStop, firstCommit: facts.firstCommit,
            lastCommit: facts.lastCommit, commits: Int(facts.commits), lowestXid: facts.lowestXID,
            highestXid: facts.highestXID,
            restorePoints: facts.restorePoints)
    }

    /// Adds the record across the left boundary.
    mutating func prepend(_ facts: SegmentFacts, at lsn: LSN) {
        let other = SegmentOutline(facts)
        firstRecord = lsn
        lastRecord = lastRecord ?? lsn
        earliestEnd = [earliestEnd, other.earliestEnd].compactMap { $0 }.min()
        latestEnd = [latestEnd, other.latestEnd].compactMap { $0 }.max()
        firstCommit = other.firstCommit ?? firstCommit
        lastCommit = lastCommit ?? other.lastCommit
        commits += other.commits
        lowestXid = [lowestXid, other.lowestXid].compactMap { $0 }.min()
        highestXid = [highestXid, other.highestXid].compactMap { $0 }.max()
        lowestXid = [lowestXid, other.lowestXid].compactMap { $0 }.min()
        highestXid = [highestXid, other.highestXid].compactMap { $0 }.max()
        restorePoints = other.restorePoints + restorePoints
    }

    mutating func prepend(_ record: LogRecord) {
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

extension LogRecord {
    /// Nil when the summaries don't hold the record's content.
    init?(_ boundary: BoundaryRecord) {
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

    init(_ record: WALRecord) {
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
