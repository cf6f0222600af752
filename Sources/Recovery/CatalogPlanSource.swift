public import Catalog
public import Planning
import Repository
public import WAL

/// Answers the planner from the catalog where it can, and from the repository's segments where records are needed: the
/// cost of a plan doesn't grow with the archive.
public final class CatalogPlanSource: PlanSource {
    private let catalog: Catalog
    private let archive: ArchivePlanSource

    /// - Parameters:
    ///   - catalog: already synchronized with the repository.
    ///   - archive: reads the records, and answers where the catalog can't.
    public init(_ catalog: Catalog, _ archive: ArchivePlanSource) { (self.catalog, self.archive) = (catalog, archive) }

    public var majorVersion: Int { archive.majorVersion }
    public var segmentSize: UInt32 { archive.segmentSize }
    public func backups() -> [RestorableBackup] { archive.backups() }
    public func histories() throws -> [TimelineID: TimelineHistory] { try catalog.histories() }
    public func segments() throws -> SegmentSet { try catalog.segments() }

    public func facts(of path: WALSegments, _ range: Range<Int>) throws -> [SegmentOutline] {
        var rows: [SegmentRow] = []
        for stretch in path.stretches(range) {
            rows += try catalog.segments(of: stretch.timeline, stretch.numbers)
        }
        // Where the catalog can't tell, the segments themselves are read; that throws what is wrong with them.
        guard rows.count == range.count, rows.allSatisfy({ $0.state == .read && $0.link != .broken }) else {
            return try archive.facts(of: path, range)
        }
        return try rows.map { row in
            var outline = SegmentOutline(row)
            outline.restorePoints = try catalog.restorePoints(of: row.name)
            return outline
        }
    }

    public func records(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        try archive.records(of: path, at: index, visit: visit)
    }

    public func landmarks(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        try archive.landmarks(of: path, at: index, visit: visit)
    }

    public func files(
        changedBy transactions: Set<UInt32>, in path: WALSegments, at index: Int
    ) throws -> [UInt32: Set<RelationFile>] { try archive.files(changedBy: transactions, in: path, at: index) }

    public func firstCandidate(in path: WALSegments, from index: Int, for target: RecoveryTarget) throws -> Int? {
        switch target.point {
        case .time, .xid, .name: break
        case .lsn(let lsn):
            // A record that starts at or after a position isn't complete in a segment before it.
            let number = lsn.rawValue / UInt64(segmentSize)
            guard number > path.first else { return index }
            return number - path.first < UInt64(path.count) ? Swift.max(index, Int(number - path.first)) : nil
        case .immediate, .latest: return index
        }
        for stretch in path.stretches(index..<path.count) {
            let found =
                switch target.point {
                case .time(let time):
                    try catalog.firstEnding(
                        after: time, orAt: !target.inclusive, of: stretch.timeline, stretch.numbers)
                case .xid(let xid): try catalog.firstEnding(xid: xid, of: stretch.timeline, stretch.numbers)
                case .name(let name):
                    try catalog.firstRestorePoint(named: name, of: stretch.timeline, stretch.numbers)
                case .lsn, .immediate, .latest: SegmentName?.none
                }
            if let found, let place = path.index(of: found) { return place }
        }
        return nil
    }

    public func firstEnding(by moment: Moment, orAt: Bool, in path: WALSegments, from index: Int) throws -> Int? {
        for stretch in path.stretches(index..<path.count) {
            let found = try catalog.firstEnding(before: moment, orAt: orAt, of: stretch.timeline, stretch.numbers)
            if let found, let place = path.index(of: found) { return place }
        }
        return nil
    }

    public func serverChanges(of path: WALSegments, through index: Int) throws -> ServerChanges {
        var changes = ServerChanges()
        for stretch in path.stretches(0..<index + 1) {
            let found = try catalog.serverChanges(of: stretch.timeline, stretch.numbers)
            changes.tablespaces += found.tablespaces
            changes.parameters += found.parameters
        }
        return changes
    }

    public func prepared(in backup: RestorableBackup) throws -> [Prepare] { try archive.prepared(in: backup) }

    public func preparations(of path: WALSegments, through index: Int, before end: LSN) throws -> Preparations {
        let names = try path.stretches(0..<index + 1).flatMap {
            try catalog.segmentsWithPreparations(of: $0.timeline, $0.numbers)
        }
        return try archive.preparations(of: path, at: names.compactMap(path.index), before: end)
    }

    public func lostHistories() throws -> [LostHistory] { try catalog.lostHistories() }

    public func firstBreak(in path: WALSegments) throws -> WALBreak? {
        for stretch in path.stretches(0..<path.count) {
            for found in try catalog.breaks(of: stretch.timeline, stretch.numbers) {
                if !found.isLink || path.index(of: found.segment) != 0 { return found }
            }
        }
        return nil
    }

    public func fault(of path: WALSegments, at index: Int) throws -> WALBreak? {
        try archive.fault(of: path, at: index)
    }

    public func lastCommit(of path: WALSegments, from position: LSN) throws -> TransactionMark? {
        for stretch in path.stretches(0..<path.count).reversed() {
            let row = try catalog.nearestWithCommits(of: stretch.timeline, stretch.numbers, fromEnd: true)
            if let last = row?.lastCommit { return last.lsn >= position ? last : nil }
        }
        return nil
    }

    public func restorePoints(of path: WALSegments) throws -> [RestorePoint]? {
        try path.stretches(0..<path.count).flatMap {
            try catalog.restorePoints(of: $0.timeline, $0.numbers)
        }
    }
}

extension SegmentOutline {
    fileprivate init(_ row: SegmentRow) {
        self.init(
            firstRecord: row.firstRecord, lastRecord: row.lastRecord, earliestEnd: row.earliestStop,
            latestEnd: row.latestStop, firstCommit: row.firstCommit, lastCommit: row.lastCommit,
            commits: Int(row.commits), lowestXID: row.lowestXID, highestXID: row.highestXID)
    }
}
