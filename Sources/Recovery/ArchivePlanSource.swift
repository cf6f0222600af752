import Archiving
import Backups
public import Planning
import Platform
public import Repository
public import WAL

/// Answers the planner from a repository: segment names from listings, facts from the summaries in the segments' heads,
/// records from the segments themselves.
public final class ArchivePlanSource: PlanSource {
    public let majorVersion: Int
    public let segmentSize: UInt32
    let archive: ClusterArchive
    private let known: [RestorableBackup]
    let jobs: Int
    private let usePartials: Bool
    /// The WAL in a dead server's pg_wal, read where it lies.
    private let waiting: WaitingWAL
    private let undelivered: [SegmentName: WALBreak]
    var local: [SegmentName: WaitingWAL.Segment] = [:]
    var partialSegments: Set<SegmentName> = []
    var summaries: [SegmentName: SegmentSummary] = [:]
    /// The segments read last.
    var recent: [SegmentRecords] = []

    /// - Parameters:
    ///   - segmentSize: in bytes, from the backups or the incarnation's marker.
    ///   - backups: the complete ones.
    ///   - jobs: how many summaries are read at once.
    ///   - usePartials: where a segment is missing, use its `.partial`.
    ///   - waiting: counts as archived.
    ///   - undelivered: archived segments that no server would get, though their heads are sound.
    public init(
        archive: ClusterArchive, segmentSize: UInt32, backups: [RestorableBackup], jobs: Int,
        usePartials: Bool = false, waiting: WaitingWAL = WaitingWAL(), undelivered: [WALBreak] = []
    ) {
        self.undelivered = Dictionary(undelivered.map { ($0.segment, $0) }) { first, _ in first }
        (self.archive, self.segmentSize) = (archive, segmentSize)
        (known, self.jobs, self.usePartials, self.waiting) = (backups, jobs, usePartials, waiting)
        majorVersion = archive.incarnation.major
    }

    public func backups() -> [RestorableBackup] { known }

    public func histories() throws -> [TimelineID: TimelineHistory] {
        try archive.readableHistories().merging(waiting.histories) { archived, _ in archived }
    }

    /// Segments older than every backup can't be part of a recovery and aren't listed.
    public func segments() throws -> SegmentSet { try segments(from: known.map(\.start).min() ?? .zero) }
    public func everySegment() throws -> SegmentSet { try segments(from: .zero) }

    private func segments(from oldest: LSN) throws -> SegmentSet {
        var all: Set<SegmentName> = []
        for timeline in try archive.timelines() {
            let first = SegmentName(timeline: timeline, containing: oldest, segmentSize: segmentSize)
            all.formUnion(try archive.segments(timeline: timeline, from: first))
            if usePartials {
                partialSegments.formUnion(try archive.partials(timeline: timeline, from: first))
            }
        }
        for (name, segment) in waiting.segments {
            if segment.isLast {
                if all.contains(name) { continue }
                // Of two copies the one with more records is used.
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
        try? archive.stored(.partial(name)).summary(reading: name).end
    }

    public func isPartial(_ name: SegmentName) -> Bool { partialSegments.contains(name) }
    public func partials() -> Set<SegmentName> { partialSegments }

    func file(_ name: SegmentName) -> ArchiveFileName {
        partialSegments.contains(name) ? .partial(name) : .segment(name)
    }

    public func facts(of path: WALSegments, _ range: Range<Int>) throws -> [SegmentOutline] {
        // The record across the left boundary may have begun several segments earlier.
        var first = max(0, range.lowerBound - 1)
        try fetch(path[first..<range.upperBound])
        while first > 0, summaries[path[first]]?.firstRecord == nil {
            first -= 1
            try fetch(path[first...first])
        }
        var continuity = Continuity()
        var outlines: [SegmentOutline] = []
        for index in first..<range.upperBound {
            var boundary: BoundaryRecord?
            let (summary, join) = try add(path[index], to: &continuity)
            switch join {
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

    public func lostHistories() throws -> [LostHistory] {
        try archive.lostHistories(among: try segments(), known: Set(try histories().keys))
    }

    public func serverChanges(of path: WALSegments, through index: Int) throws -> ServerChanges {
        try fetch(path[0...index])
        var continuity = Continuity()
        var changes = ServerChanges()
        for name in path[0...index] {
            guard let summary = summaries[name] else { continue }
            if case .joined(let record?) = continuity.add(summary), let facts = record.facts { changes.add(facts) }
            changes.add(summary.facts)
        }
        return changes
    }

    public func prepared(in backup: RestorableBackup) throws -> [Prepare] {
        try preparedTransactions(of: backup.label, of: archive)
    }

    public func preparations(of path: WALSegments, through index: Int, before end: LSN) throws -> Preparations {
        try fetch(path[0...index])
        var continuity = Continuity()
        let places = path.indices[0...index].filter { place in
            guard let summary = summaries[path[place]] else { return false }
            if case .joined(let record?) = continuity.add(summary), record.facts?.prepares ?? 0 > 0 { return true }
            return summary.facts.prepares > 0
        }
        return try preparations(of: path, at: places, before: end)
    }

    /// The most segments that are read for prepared transactions: those that have been pending for longer are only
    /// found on the recovered server.
    private static let mostPreparing = 64

    func preparations(of path: WALSegments, at places: [Int], before end: LSN) throws -> Preparations {
        var found = Preparations()
        for place in places.suffix(ArchivePlanSource.mostPreparing) {
            let records = try read(path, at: place, from: max(0, place - 1), crossing: nil)
            found.prepared += records.prepared.filter { $0.lsn < end }
            found.ended.formUnion(
                records.landmarks.filter { $0.start < end }.compactMap { $0.content.transactionEnd?.xid })
        }
        return found
    }

    /// Whether it says something of the one segment that was asked for, even if it was that it can't be opened now.
    private func concernsOneSegment(_ error: any Error) -> Bool {
        guard let error = error as? any Explained else { return true }
        return error.concernsOneObject || !error.isOutOfReach
    }

    public func lastCommit(of path: WALSegments, from position: LSN) throws -> TransactionMark? {
        for index in path.indices.reversed() {
            var found: TransactionMark?
            do { found = try facts(of: path, index..<index + 1).first?.lastCommit } catch
                where concernsOneSegment(error)
            {
                // The one before it may tell.
            }
            if let last = found { return last.lsn >= position ? last : nil }
            if path[index].start(segmentSize: segmentSize) <= position { break }
        }
        return nil
    }

    public func firstBreak(in path: WALSegments) throws -> WALBreak? {
        var continuity = Continuity()
        // Several at once; one by one where one of them can't be read.
        for begin in stride(from: 0, to: path.count, by: 1024) {
            let names = Array(path[begin..<min(begin + 1024, path.count)])
            let isWhole: Bool
            do {
                try fetch(names)
                isWhole = true
            } catch is BadSummary {
                isWhole = false
            } catch let error as any Explained where error.concernsOneObject { isWhole = false }
            for name in names {
                do {
                    if !isWhole { try fetch([name]) }
                } catch let error as ObjectDamaged {
                    return WALBreak(name, isLink: false, reason: error.reason)
                } catch let error as BadSummary {
                    return WALBreak(name, isLink: false, reason: "\(error)")
                } catch let error as any Explained where error.concernsOneObject {
                    return WALBreak(name, isLink: false, reason: error.objectFault)
                }
                guard summaries[name] != nil else {
                    return WALBreak(name, isLink: false, reason: unreadable(name).message + ".")
                }
                if let known = undelivered[name], local[name] == nil { return known }
                if case .broken(let link) = try add(name, to: &continuity).join {
                    return WALBreak(name, isLink: true, reason: link.detail ?? link.message)
                }
            }
        }
        return nil
    }

    public func fault(of path: WALSegments, at index: Int) throws -> WALBreak? {
        let name = path[index]
        guard local[name] == nil, !partialSegments.contains(name) else { return nil }
        return try deliveryFault(of: .segment(name), archive)
    }

    public func records(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        let read = try read(path, at: index)
        guard try read.visitAll(visit) else { return }
        // Damage after the record that was looked for doesn't matter.
        if let damage = read.damage { throw damage }
    }

    public func landmarks(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        let read = try read(path, at: index)
        for record in read.landmarks where try !visit(record) { return }
        if let damage = read.damage { throw damage }
    }

    public func files(
        changedBy transactions: Set<UInt32>, in path: WALSegments, at index: Int
    ) throws -> [UInt32: Set<RelationFile>] {
        try read(path, at: index).files(changedBy: transactions)
    }
}
