import BaseBackup
public import Planning
public import Platform
import Repository
public import WAL

/// The moment just before a database was dropped.
public struct DatabaseDropMoment: Sendable {
    /// Stops before the server marked the database's row as invalid, in place and outside of any transaction, which is
    /// the first thing DROP DATABASE does since 15.4 (and 13.12, 14.9): a database that comes back with the mark can't be
    /// connected to. Without a mark, before its row was deleted.
    public let target: RecoveryTarget
    public let database: UInt32
    public let drop: DatabaseDrop
    /// Whether there is a mark.
    public let isMarked: Bool
}

/// Finds when a database was dropped: its OID is in the backups' relation maps, and the drop's record names it.
///
/// The files vanish when that record is replayed, before the transaction that deletes the row commits; so neither the
/// transaction nor its time can be the target.
/// - Parameter timeline: of the history that is looked through.
/// - Throws: `NoDatabaseDropFound`, `PlanRefusal` when there is no telling which timeline is meant, and what reading the
///   archive throws.
public func momentBeforeDrop(
    ofDatabase name: String, in archive: RecoveryArchive, timeline: RecoveryTarget.Timeline = .own
) throws -> DatabaseDropMoment {
    var known: Set<String> = []
    var numbers: Set<UInt32> = []
    for backup in archive.backups.complete.reversed() {
        let map = try RelationMap(of: backup.label, of: archive.contents) { _ in false }
        known.formUnion(map.databases.map(\.name))
        numbers.formUnion(map.databases.map(\.oid))
        guard let database = map.databases.first(where: { $0.name == name })?.oid,
            let log = try archive.reachableLog(from: backup.label, timeline: timeline)
        else { continue }
        if let moment = DatabaseDropMoment(of: database, in: try archive.facts(of: log.segments)),
            log.holds(moment.drop.lsn)
        {
            return moment
        }
    }
    throw NoDatabaseDropFound(
        name: name, known: known.sorted(), newest: archive.backups.newest?.label,
        others: known.contains(name) ? [] : try archive.dropsOfUnknown(besides: numbers, timeline))
}

extension DatabaseDropMoment {
    /// Nil when these segments don't drop it.
    public init?(of database: UInt32, in segments: [SegmentFacts]) {
        var rows: [DatabaseRowChange] = []
        var found: DatabaseDrop?
        for facts in segments {
            rows += facts.databaseRows
            found = facts.databaseDrops.first { $0.database == database }
            if found != nil { break }
        }
        guard let drop = found else { return nil }
        let before = rows.filter { $0.lsn < drop.lsn }
        let deletion = before.last { $0.isDelete && $0.xid == drop.xid }
        let mark = deletion.flatMap { deletion in
            before.last { !$0.isDelete && $0.xid == 0 && $0.block == deletion.block && $0.row == deletion.row }
        }
        self.init(
            target: RecoveryTarget(.lsn(mark?.lsn ?? deletion?.lsn ?? drop.lsn), inclusive: false), database: database,
            drop: drop, isMarked: mark != nil)
    }
}

/// The archive doesn't tell of a drop of the database.
public struct NoDatabaseDropFound: Explained, Equatable {
    public let name: String
    public let known: [String]
    public let newest: String?
    /// What leads to the moments just before databases were dropped that no backup has; which one was called so, nobody knows.
    public let others: [PlanRefusal.Alternative]

    private var isUnknown: Bool { newest != nil && !known.contains(name) }
    public var message: String {
        isUnknown ? "no backup has database \"\(name)\"" : "no drop of database \"\(name)\" is in the archive"
    }
    public var detail: String? {
        let all = "The backups know the databases \(known.map { "\"\($0)\"" }.joined(separator: ", "))."
        guard isUnknown, let newest else { return all }
        return "It was made after the newest backup, \"\(newest)\", or has another name. tidemark knows the names of "
            + "databases from the backups only, and so can't tell which drop in the WAL was its. " + all
    }
    public var hint: String? {
        if let last = others.last { return "Reachable: \(last.sentence)." }
        if isUnknown { return "Name the moment with --target-time." }
        return "Is the segment with the drop archived already? Otherwise name the moment with --target-time."
    }
}

extension RecoveryArchive {
    /// The moments just before databases with other numbers were dropped, in the order of the log.
    fileprivate func dropsOfUnknown(
        besides known: Set<UInt32>, _ timeline: RecoveryTarget.Timeline
    ) throws -> [PlanRefusal.Alternative] {
        for backup in backups.complete {
            guard let log = try reachableLog(from: backup.label, timeline: timeline) else { continue }
            let all = try facts(of: log.segments)
            let drops = all.flatMap(\.databaseDrops).filter { !known.contains($0.database) && log.holds($0.lsn) }
            return drops.compactMap { drop in
                guard var target = DatabaseDropMoment(of: drop.database, in: all)?.target else { return nil }
                target.timeline = timeline
                return offer(PlanRequest(target)) { _ in
                    "just before transaction \(drop.xid) dropped a database that no backup has, number \(drop.database)"
                }
            }
        }
        return []
    }

    /// What the segments say, in order; the record that straddles into one comes before the segment's own.
    public func facts(of names: [SegmentName]) throws -> [SegmentFacts] {
        var continuity = Continuity()
        var all: [SegmentFacts] = []
        let archive = contents
        try mapInOrder(
            names, workers: 4, ahead: 64,
            transform: { name -> SegmentSummary? in
                try archive.summary(of: name)
            },
            consume: { summary in
                guard let summary else { return }
                if case .joined(let record?) = continuity.add(summary), let facts = record.facts { all.append(facts) }
                all.append(summary.facts)
            })
        return all
    }
}

extension RecoveryArchive {
    /// Nil when the backup doesn't lie on the history of the timeline.
    /// - Throws: `PlanRefusal` when there is no telling which timeline is meant.
    public func reachableLog(from backup: String, timeline: RecoveryTarget.Timeline) throws -> ReachableLog? {
        let request = PlanRequest(RecoveryTarget(.latest, timeline: timeline), backup: backup)
        return try Planning.reachableLog(aware(request), from: source)
    }
}

extension Plan {
    /// The segments recovery will read, in order.
    public var segmentNames: [SegmentName] {
        segments.flatMap { range in
            (0..<UInt64(range.count)).map { step in
                SegmentName(
                    timeline: range.first.timeline,
                    number: range.first.number(segmentSize: segmentSize) + step, segmentSize: segmentSize)
            }
        }
    }
}
