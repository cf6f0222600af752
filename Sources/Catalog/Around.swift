import Repository
import SQLite
public import WAL

/// A transaction near a moment.
public struct NearbyTransaction: Hashable, Sendable {
    public let mark: TransactionMark
    public let isCommit: Bool
    /// Files whose blocks it changed, as far as the segments that were read tell.
    public let files: [RelationFile]
}

/// The transactions around a moment, in the order of the log.
public struct Surroundings: Hashable, Sendable {
    public let timeline: TimelineID
    /// Those that a recovery to the moment includes, the last ones.
    public let before: [NearbyTransaction]
    /// The first ones it doesn't include.
    public let after: [NearbyTransaction]
}

extension Catalog {
    /// What ended around a moment on a timeline: the last `count` transactions that a recovery to the moment replays, and
    /// the first `count` it doesn't. Recovery stops before the first commit or abort that is later than its target.
    public func surroundings(
        of moment: Moment, on wanted: TimelineID?, count: Int
    ) throws -> Surroundings? {
        let set = try segments()
        guard let timeline = wanted ?? set.timelines.last else { return nil }
        let path = try genealogy().lineage(of: timeline)
        let pieces = path.archived(in: set)
        guard let newest = pieces.last else { return nil }
        var stop = SegmentName(
            timeline: newest.timeline, number: newest.numbers.upperBound, segmentSize: set.segmentSize)
        for piece in pieces {
            if let found = try firstEnding(after: moment, orAt: false, of: piece.timeline, piece.numbers) {
                stop = found
                break
            }
        }
        return try read(around: stop, moment, path, set, timeline, count)
    }

    /// Reads from a few segments before `stop`, as far as there are enough commits, to where enough follow.
    private func read(
        around stop: SegmentName, _ moment: Moment, _ path: Lineage, _ set: SegmentSet, _ timeline: TimelineID,
        _ count: Int
    ) throws -> Surroundings {
        let size = set.segmentSize
        let middle = stop.number(segmentSize: size)
        var first = middle
        var commits: Int64 = 0
        while first > 0, set.contains(path.file(first - 1)), commits < Int64(count), middle - first < 8 {
            first -= 1
            commits += try segment(path.file(first))?.commits ?? 0
        }
        var before: [NearbyTransaction] = []
        var after: [NearbyTransaction] = []
        var touched: [UInt32: Set<RelationFile>] = [:]
        var isBehind = false
        var walk = RecordWalk(includingBlocks: true)
        var decompressor = try Decompressor()
        var number = first
        while !walk.isStopped, set.contains(path.file(number)), number < middle + 8 {
            let stored = try store.stored(path.file(number), of: incarnation)
            walk.begin(path.file(number), length: stored.head.rawLength, contents: stored.contents)
            try stored.extract(with: &decompressor) { bytes in
                try walk.feed(RawSpan(_unsafeBytes: bytes)) { record in
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
            number += 1
        }
        return Surroundings(timeline: timeline, before: before.suffix(count), after: Array(after.prefix(count)))
    }
}
