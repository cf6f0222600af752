import Platform
import Repository
import SQLite
public import WAL

/// A transaction that ended near a time.
public struct NearbyTransaction: Hashable, Sendable {
    public let mark: TransactionMark
    public let isCommit: Bool
    /// Files whose blocks it changed, as far as the segments that were read show.
    public let files: [RelationFile]
}

/// The transactions that ended around a time, in the order of the WAL.
public struct Surroundings: Hashable, Sendable {
    public let timeline: TimelineID
    /// The last ones that a recovery to that time includes.
    public let before: [NearbyTransaction]
    /// The first ones it doesn't include.
    public let after: [NearbyTransaction]
    /// WAL among them that is missing, and not on purpose: the transactions that ended there are not known.
    public let gaps: [LineageGap]
    /// WAL among them that was removed on purpose.
    public let removed: [LineageGap]
    /// Segments among them that can't be read, with the reason: which transactions ended there is not known, either.
    public let unreadable: [UnreadableWAL]
}

/// A segment that is there and can't be read.
public struct UnreadableWAL: Hashable, Sendable {
    public let segment: SegmentName
    /// Where it begins.
    public let from: LSN
    /// As a message of PostgreSQL's says it.
    public let reason: String
}

extension Catalog {
    /// The transactions that ended around a time on a timeline: the last `count` that a recovery to that time replays,
    /// and the first `count` that it doesn't. Recovery stops before the first commit or abort that is later than its
    /// target.
    ///
    /// - Parameters:
    ///   - expired: the segments that were removed on purpose.
    ///   - backups: the complete ones.
    public func surroundings(
        of moment: Moment, on wanted: TimelineID?, count: Int, expired: SegmentSet? = nil, backups: [BackupSpan] = []
    ) throws -> Surroundings? {
        let wal = try archivedWAL(expired: expired, backups)
        let set = wal.segments
        guard let timeline = wanted ?? set.timelines.last else { return nil }
        let path = wal.genealogy.lineage(of: timeline)
        let pieces = path.archived(in: set)
        guard let newest = pieces.last else { return nil }
        var stop = newest.numbers.upperBound
        for piece in pieces {
            if let found = try firstEnding(after: moment, orAt: false, of: piece.timeline, piece.numbers) {
                stop = found.number(segmentSize: set.segmentSize)
                break
            }
        }
        return try read(around: stop, moment, path, wal, count)
    }

    /// The archived segment next to a given one on a path, also across a gap.
    private func next(to number: UInt64, isLater: Bool, on path: Lineage, _ archived: SegmentSet) -> UInt64? {
        guard isLater || number > 0 else { return nil }
        let pieces = path.archived(isLater ? number + 1...UInt64.max : 0...number - 1, in: archived)
        return isLater ? pieces.first?.numbers.lowerBound : pieces.last?.numbers.upperBound
    }

    /// Reads backwards from `stop` until there are enough commits, and forwards until enough follow.
    private func read(
        around stop: UInt64, _ moment: Moment, _ path: Lineage, _ wal: ArchivedWAL, _ count: Int
    ) throws -> Surroundings {
        var first = stop
        var commits: Int64 = 0
        for _ in 0..<8 where commits < Int64(count) {
            guard let number = next(to: first, isLater: false, on: path, wal.segments) else { break }
            first = number
            commits += try segment(path.file(first))?.commits ?? 0
        }
        var before: [NearbyTransaction] = []
        var after: [NearbyTransaction] = []
        var touched: [UInt32: Set<RelationFile>] = [:]
        var isBehind = false
        var walk = RecordWalk(includingBlocks: true)
        var decompressor = try Decompressor()
        var number = first
        var afterStop = 0
        var unreadable: [UnreadableWAL] = []
        func read(_ name: SegmentName, before limit: LSN? = nil) throws {
            let stored = try archive.stored(name)
            walk.begin(name, length: stored.head.rawLength, contents: stored.contents)
            try stored.extract(with: &decompressor) { bytes in
                try walk.feed(RawSpan(_unsafeBytes: bytes)) { record in
                    if let limit, record.end > limit { return .more }
                    if record.header.xid != 0, !record.blocks.isEmpty {
                        for block in record.blocks { touched[record.header.xid, default: []].insert(block.file) }
                    }
                    let end: TransactionEnd
                    let isCommit: Bool
                    switch record.kind {
                    case .commit(let its): (end, isCommit) = (its, true)
                    case .abort(let its): (end, isCommit) = (its, false)
                    default: return .more
                    }
                    var files = Set(end.removedFiles)
                    for xid in [end.xid] + end.subtransactions {
                        if let its = touched.removeValue(forKey: xid) { files.formUnion(its) }
                    }
                    let transaction = NearbyTransaction(
                        mark: TransactionMark(lsn: record.lsn, end: record.end, time: end.time, xid: end.xid),
                        isCommit: isCommit, files: files.sorted())
                    if end.time > moment { isBehind = true }
                    if isBehind { after.append(transaction) } else { before.append(transaction) }
                    if before.count > 2 * count { before.removeFirst(before.count - count) }
                    return after.count < count ? .more : .stop
                }
            }
        }
        while true {
            let name = path.file(number)
            do { try read(name) } catch let error as any Explained where error.concernsOneObject || error is WALDamage {
                unreadable.append(
                    UnreadableWAL(
                        segment: name, from: name.start(segmentSize: wal.segments.segmentSize), reason: error.message))
                walk = RecordWalk(includingBlocks: true)
                touched = [:]
            }
            if number >= stop { afterStop += 1 }
            guard !walk.isStopped, afterStop < 8, let later = next(to: number, isLater: true, on: path, wal.segments)
            else {
                break
            }
            // Across a gap segments aren't connected.
            if later > number + 1 {
                if let instead = try substitute(for: number + 1, on: path, wal.segments) {
                    try read(instead.file, before: instead.limit)
                }
                walk = RecordWalk(includingBlocks: true)
                touched = [:]
            }
            number = later
        }
        let shown = before.suffix(count)
        // A gap before the transactions that are shown doesn't matter.
        func isAmong(_ gap: LineageGap) -> Bool {
            shown.count < count || shown.first.map { $0.mark.lsn < gap.to } ?? true
        }
        // What backups need before the first segment and after the last one isn't archived anymore.
        let range = (
            first: next(to: first, isLater: false, on: path, wal.segments) == nil
                ? min(first, wal.firstNeeded(on: path) ?? first) : first,
            last: next(to: number, isLater: true, on: path, wal.segments) == nil && after.count < count
                ? max(number, wal.newest(on: path) ?? number) : number
        )
        let gaps = path.gaps(range.first...range.last, in: wal.segments.union(wal.expired)).filter(isAmong)
        var others = wal.segments
        for range in gaps.flatMap(\.ranges) {
            let numbers = range.first.number(segmentSize: others.segmentSize)
            others.insert(numbers...numbers + UInt64(range.count - 1), on: range.first.timeline)
        }
        return Surroundings(
            timeline: path.timeline, before: Array(shown), after: Array(after.prefix(count)), gaps: gaps,
            removed: path.gaps(range.first...range.last, in: others).filter(isAmong),
            unreadable: unreadable.filter { one in
                shown.count < count || shown.first.map { $0.mark.lsn < one.from } ?? true
            })
    }
}
