import Messages
import WAL

/// The WAL that a recovery from one backup would read: consecutive segments from the backup's start to the end of the
/// archive, whose facts are fetched as the search proceeds.
struct ReplayWAL<Source: PlanSource> {
    /// Why the WAL ends.
    enum Ending: Equatable {
        /// The archive has no newer WAL.
        case endOfArchive
        /// These segments are missing, and newer ones exist. The parent's file of the first one may take its place as
        /// far as it is the same.
        case gap([LineageGap])
        /// The first segment of `timeline`, which begins at `begin`, has not been archived; only its parent's segment
        /// exists, which is the same up to `begin`.
        case notYetArchived(TimelineID, begin: LSN)
        /// The next segment exists, but can't be replayed.
        case broken(WALBreak)
    }

    let backup: RestorableBackup
    let path: TimelinePath
    let segments: WALSegments
    /// The number of the first segment.
    var first: Int { Int(backup.start.rawValue / UInt64(source.segmentSize)) }
    let ending: Ending
    /// Records from here on belong to another history, although they are in the last segment.
    let limit: LSN?
    private let source: Source
    private let known: FactsStore

    init(
        backup: RestorableBackup, path: TimelinePath, archived: SegmentSet, source: Source, known: FactsStore
    ) throws {
        self.backup = backup
        self.path = path
        self.source = source
        self.known = known
        let size = source.segmentSize
        let first = backup.start.rawValue / UInt64(size)
        let lineage = path.lineage(segmentSize: size)
        let wal = ArchivedWAL(archived, Genealogy([:], segmentSize: size))
        let number = wal.reach(from: backup.start, on: lineage).end.rawValue / UInt64(size)
        let there = WALSegments(path, first: first, count: Int(number - first), segmentSize: size)
        let told: WALBreak?
        if let known = known.breaks[there] { told = known } else { told = try source.firstBreak(in: there) }
        known.breaks[there] = .some(told)
        let found = (known.unread.values + [told].compactMap { $0 })
            .min { there.index(of: $0.segment) ?? .max < there.index(of: $1.segment) ?? .max }
        if let found, let index = there.index(of: found.segment) {
            segments = WALSegments(path, first: first, count: index, segmentSize: size)
            (ending, limit) = (.broken(found), nil)
            return
        }
        let gaps = wal.gaps(on: lineage, from: number)
        guard
            let (substitute, next) = path.lineage(segmentSize: size).substitutes(for: number)
                .last(where: { archived.contains($0.name) })
        else {
            (segments, limit) = (there, nil)
            ending = gaps.isEmpty ? .endOfArchive : .gap(gaps)
            return
        }
        segments = WALSegments(path, first: first, count: Int(number - first) + 1, segmentSize: size, last: substitute)
        limit = next.begin
        ending = gaps.isEmpty ? .notYetArchived(next.timeline, begin: next.begin) : .gap(gaps)
    }

    /// How many segments' facts are fetched at once while searching forwards.
    private let stride = 128

    func facts(at index: Int) throws -> SegmentOutline {
        if let found = known.facts[segments[index]] { return found }
        let range = index..<min(index + stride, segments.count)
        for (name, facts) in zip(segments[range], try source.facts(of: segments, range)) { known.facts[name] = facts }
        return known.facts[segments[index]]!
    }

    /// Visits the records of segment `index` that a recovery would see, until `visit` returns false.
    func records(at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        try reading(index) { try source.records(of: segments, at: index) { record in try within(record, visit) } }
    }

    /// As `records`, but only transaction ends and restore points.
    func landmarks(at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        try reading(index) { try source.landmarks(of: segments, at: index) { record in try within(record, visit) } }
    }

    /// - Throws: `UnreadSegment` where no server would get the segment either, whatever its summary says.
    private func reading(_ index: Int, _ body: () throws -> Void) throws {
        do { try body() } catch {
            guard let fault = try? source.fault(of: segments, at: index),
                known.unread.updateValue(fault, forKey: fault.segment) == nil
            else { throw error }
            throw UnreadSegment(fault: fault)
        }
    }

    private func within(_ record: ReplayRecord, _ visit: (ReplayRecord) throws -> Bool) rethrows -> Bool {
        if record.start < backup.start { return true }
        if let limit, record.start >= limit { return false }
        return try visit(record)
    }

    /// The files that each transaction changed, as far as the segments of their ends show; empty where one can't be
    /// read.
    func files(changedBy marks: [TransactionMark]) -> [UInt32: Set<RelationFile>] {
        let indexes = Set(marks.map { Int($0.lsn.rawValue / UInt64(source.segmentSize)) - first })
        return indexes.reduce(into: [:]) { files, index in
            guard segments.indices.contains(index) else { return }
            let found = try? source.files(changedBy: Set(marks.map(\.xid)), in: segments, at: index)
            files.merge(found ?? [:]) { $0.union($1) }
        }
    }

    /// Where PostgreSQL would stop, and the segment in which the record that stops it ends.
    func firstStop(_ rule: StopRule) throws -> (point: StoppingPoint, index: Int)? {
        var next = 0
        while next < segments.count,
            let index = try source.firstCandidate(in: segments, from: next, for: rule.target), index < segments.count
        {
            next = index + 1
            guard rule.mayStop(in: try facts(at: index)) else { continue }
            var found: StoppingPoint?
            func look(_ record: ReplayRecord) -> Bool {
                found = rule.stop(at: record)
                return found == nil
            }
            try rule.asksEveryRecord ? records(at: index, visit: look) : landmarks(at: index, visit: look)
            if let found { return (found, index) }
        }
        return nil
    }

    /// The last commit before `position`, searched backwards from segment `index`.
    func lastCommit(before position: LSN, from index: Int) throws -> TransactionMark? {
        var found: TransactionMark?
        var index = index
        while index >= 0 {
            let facts = try facts(at: index)
            if let last = facts.lastCommit, last.lsn < position, last.lsn >= backup.start,
                limit.map({ last.lsn < $0 }) ?? true
            {
                return last
            }
            if let first = facts.firstCommit, first.lsn < position {
                try landmarks(at: index) { record in
                    if record.start >= position { return false }
                    if let commit = record.content.commit { found = commit }
                    return true
                }
                if let found { return found }
            }
            index -= 1
        }
        return nil
    }

    /// The first commit from `position` on, searched forwards from segment `index`.
    func firstCommit(from position: LSN, at index: Int) throws -> TransactionMark? {
        for index in index..<max(index, segments.count) {
            let facts = try facts(at: index)
            if let first = facts.firstCommit, first.lsn >= position, limit.map({ first.lsn < $0 }) ?? true {
                return first
            }
            guard let last = facts.lastCommit, last.lsn >= position else { continue }
            var found: TransactionMark?
            try landmarks(at: index) { record in
                if record.start >= position { found = record.content.commit }
                return found == nil
            }
            if let found { return found }
        }
        return nil
    }

    /// The last whole record; nil when the WAL holds none.
    func lastRecord() throws -> ReplayRecord? {
        for index in segments.indices.reversed() {
            var last: ReplayRecord?
            try records(at: index) { record in
                last = record
                return true
            }
            if let last { return last }
        }
        return nil
    }
}

/// Cached facts; backups share most of their WAL.
final class FactsStore {
    var facts: [SegmentName: SegmentOutline] = [:]
    /// The break of each WAL that was checked; nil for those without one.
    var breaks: [WALSegments: WALBreak?] = [:]
    /// Segments whose records could not be read.
    var unread: [SegmentName: WALBreak] = [:]
}

/// A segment whose summary is sound, and whose records no server would get. It is known from now on, so that the WAL
/// ends before it (`FactsStore.unread`).
struct UnreadSegment: Explained {
    let fault: WALBreak
    var message: String { fault.sentence }
    var detail: String? { fault.reason }
}
