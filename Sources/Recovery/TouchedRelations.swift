import BaseBackup
import Platform
import Repository
import WAL

extension RecoveryArchive {
    /// What the plan's last included and first excluded transaction changed: tables by the name the plan's backup knew
    /// them under (`database.schema.table`), as far as the segment of the commit tells.
    ///
    /// A help for people; where something can't be read, it is left out.
    public func touched(by plan: Plan) -> [UInt32: [String]] {
        let marks = [plan.lastIncluded, plan.firstExcluded].compactMap { $0 }
        let (store, incarnation, label) = (store, incarnation, plan.backup.label)
        var jobs: [@Sendable () -> Piece] = runs(around: marks, plan).map { run in
            { .files(changedFiles(run, marks, incarnation, store)) }
        }
        guard !jobs.isEmpty else { return [:] }
        // The names are read while the segments are.
        jobs.append { .names(tableNames(label, incarnation, store)) }
        var files: [UInt32: Set<RelationKey>] = [:]
        var names: [RelationKey: String] = [:]
        try? mapInOrder(
            jobs, workers: 2, ahead: jobs.count, transform: { $0() },
            consume: { piece in
                switch piece {
                case .files(let found): files.merge(found) { $0.union($1) }
                case .names(let found): names = found
                }
            })
        return files.mapValues { Set($0.compactMap { names[$0] }).sorted() }.filter { !$0.value.isEmpty }
    }

    /// The segment of each commit; one run when they are neighbours.
    private func runs(around marks: [TransactionMark], _ plan: Plan) -> [[SegmentName]] {
        let all = plan.segmentNames.filter { !plan.partials.contains($0) }
        var chosen: Set<Int> = []
        for mark in marks {
            let number = mark.lsn.rawValue / UInt64(plan.segmentSize)
            guard let index = all.firstIndex(where: { $0.number(segmentSize: plan.segmentSize) == number }) else {
                continue
            }
            chosen.insert(index)
        }
        var runs: [[SegmentName]] = []
        var last = -2
        for index in chosen.sorted() {
            if index == last + 1 { runs[runs.count - 1].append(all[index]) } else { runs.append([all[index]]) }
            last = index
        }
        return runs
    }
}

private enum Piece: Sendable {
    case files([UInt32: Set<RelationKey>])
    case names([RelationKey: String])
}

private struct RelationKey: Hashable, Sendable {
    let database: UInt32, file: UInt32
}

/// Ends the reading of a segment; the rest needn't be decompressed.
private struct Enough: Error {}

/// The files that the marked transactions changed in neighbouring segments, by transaction.
private func changedFiles(
    _ segments: [SegmentName], _ marks: [TransactionMark], _ incarnation: Incarnation, _ store: any ObjectStore
) -> [UInt32: Set<RelationKey>] {
    let (wanted, last) = (Set(marks.map(\.xid)), marks.map(\.lsn).max() ?? .zero)
    var found: [UInt32: Set<RelationKey>] = [:]
    func walk() throws {
        var walk = RecordWalk(includingBlocks: true)
        var decompressor = try Decompressor()
        for name in segments {
            let stored = try StoredSegment(incarnation.segment(name), in: store)
            walk.begin(name, length: stored.head.rawLength)
            var pages = PageFeed()
            try stored.extract(with: &decompressor) { bytes in
                try pages.feed(bytes) { pages in
                    try walk.feed(RawSpan(_unsafeBytes: pages)) { record in
                        if wanted.contains(record.header.xid) {
                            for block in record.blocks {
                                found[record.header.xid, default: []].insert(
                                    RelationKey(database: block.file.database, file: block.file.number))
                            }
                        }
                        return record.lsn < last ? .more : .stop
                    }
                }
                if walk.isStopped { throw Enough() }
            }
            try walk.endSegment()
        }
    }
    try? walk()
    return found
}

/// `database.schema.table` of every table's file, as the backup knew them.
private func tableNames(
    _ label: String, _ incarnation: Incarnation, _ store: any ObjectStore
) -> [RelationKey: String] {
    guard let map = try? RelationMap(of: label, of: incarnation, in: store) else { return [:] }
    let databases = Dictionary(map.databases.map { ($0.oid, $0.name) }) { $1 }
    var names: [RelationKey: String] = [:]
    for row in map.relations where ["r", "m", "p", "S"].contains(row.kind) && row.schema != "pg_catalog" {
        guard let file = row.fileNode else { continue }
        let name = "\(row.schema).\(row.name)"
        names[RelationKey(database: row.database, file: file)] = databases[row.database].map { "\($0).\(name)" } ?? name
    }
    return names
}
