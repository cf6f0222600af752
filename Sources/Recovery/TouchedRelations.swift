import BaseBackup
import Repository
import WAL

extension RecoveryArchive {
    /// What the plan's last included and first excluded transaction changed: tables by the name the plan's backup knew
    /// them under (`database.schema.table`), as far as the segment of the commit tells.
    ///
    /// A help for people; where something can't be read, it is left out.
    public func touched(by plan: Plan) -> [UInt32: [String]] {
        let marks = [plan.lastIncluded, plan.firstExcluded].compactMap { $0 }
        guard !marks.isEmpty, let map = try? RelationMap(of: plan.backup.label, of: incarnation, in: store) else {
            return [:]
        }
        var names: [RelationKey: String] = [:]
        let databases = Dictionary(map.databases.map { ($0.oid, $0.name) }) { $1 }
        for row in map.relations
        where ["r", "m", "p", "S"].contains(row.kind) && row.schema != "pg_catalog" {
            guard let file = row.fileNode else { continue }
            let name = "\(row.schema).\(row.name)"
            names[RelationKey(database: row.database, file: file)] =
                databases[row.database].map { "\($0).\(name)" } ?? name
        }
        var found: [UInt32: Set<String>] = [:]
        let wanted = Set(marks.map(\.xid))
        for run in runs(around: marks, plan) {
            try? walk(run) { record in
                guard wanted.contains(record.header.xid) else { return }
                for block in record.blocks {
                    let key = RelationKey(database: block.file.database, file: block.file.number)
                    if let name = names[key] { found[record.header.xid, default: []].insert(name) }
                }
            }
        }
        return found.mapValues { $0.sorted() }
    }

    private struct RelationKey: Hashable {
        let database: UInt32, file: UInt32
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

    private func walk(_ names: [SegmentName], visit: (WALRecord) -> Void) throws {
        var walk = RecordWalk(includingBlocks: true)
        var decompressor = try Decompressor()
        for name in names {
            let stored = try StoredSegment(incarnation.segment(name), in: store)
            walk.begin(name, length: stored.head.rawLength)
            var pages = PageFeed()
            try stored.extract(with: &decompressor) { bytes in
                try pages.feed(bytes) { pages in
                    try walk.feed(RawSpan(_unsafeBytes: pages)) { record in
                        visit(record)
                        return .more
                    }
                }
            }
            try walk.endSegment()
        }
    }
}
