import Backups
import Configuration
public import Planning
public import Platform
import Repository
public import WAL

/// The position just before a database was dropped.
public struct DatabaseDropMoment: Sendable {
    /// Stops before the server marked the database's row as invalid, in place and outside of any transaction, which is
    /// the first thing DROP DATABASE does since 15.4 (and 13.12, 14.9): nobody can connect to a database with the mark.
    /// Where there is no mark, stops before the row was deleted.
    public let target: RecoveryTarget
    public let database: UInt32
    public let drop: DatabaseDrop
    /// Whether the row was marked.
    public let isMarked: Bool
    /// Later drops of databases whose names neither a backup nor the WAL shows: one of them may have had this name.
    public fileprivate(set) var untold: [DatabaseDrop] = []

    /// The doubt that `untold` raises, as sentences; nil when it is empty.
    public var doubt: String? {
        guard !untold.isEmpty else { return nil }
        let listed = untold.suffix(8).map { "transaction \($0.xid) (LSN \($0.lsn))" }
        return
            "A later database of this name may have been dropped as well. Databases whose names are neither in a backup nor in "
            + "WAL were dropped by "
            + (untold.count > listed.count ? "\(untold.count) transactions, the last of them " : "")
            + listed.joined(separator: ", ") + "."
    }
}

/// Finds when a database was dropped: the drop's record has its OID, whose name is in the backups' relation maps. The
/// name of a database that no backup has, or that had another name then, is found in the WAL. Of several drops of the
/// name, the last is meant.
///
/// The files vanish when that record is replayed, before the transaction that deletes the row commits; so neither the
/// transaction nor its time can be the target.
/// - Parameter timeline: the timeline whose history is searched.
/// - Throws: `NoDatabaseDropFound`, `PlanRefusal` when the timeline is ambiguous, and what reading the archive throws.
public func momentBeforeDrop(
    ofDatabase name: String, in archive: RecoveryArchive, timeline: RecoveryTarget.Timeline = .own
) throws -> DatabaseDropMoment {
    var names: Set<String> = []
    var others: [(name: String?, moment: DatabaseDropMoment)] = []
    var (facts, seen): ([SegmentFacts], LSN?) = ([], nil)
    for backup in archive.backups.complete.reversed() {
        let map = try RelationMap(of: backup.label, of: archive.contents) {
            $0.database == 0 && $0.oid == RelationMap.databaseCatalog
        }
        names.formUnion(map.databases.map(\.name))
        guard let wal = try archive.reachableWAL(from: backup.label, timeline: timeline) else { continue }
        // The WAL after it has been searched already.
        let segments = wal.segments.filter { name in
            seen.map { name.start(segmentSize: backup.segmentSize) <= $0 } ?? true
        }
        let isNew = { [seen] (lsn: LSN) in
            lsn >= backup.startLSN && wal.holds(lsn) && seen.map { lsn < $0 } ?? true
        }
        let new = try archive.facts(of: segments)
        (facts, seen) = (new + facts, backup.startLSN)
        let own = map.databases.first { $0.name == name }?.oid
        let drops = new.flatMap(\.databaseDrops).filter { isNew($0.lsn) }
        let known = own.flatMap { DatabaseDropMoment(of: $0, in: facts) }
        var found = [known].compactMap(\.self).filter { wal.holds($0.drop.lsn) }
        // If the only drop is the one looked for, the names of the others don't matter.
        if drops.contains(where: { $0.database != own }) {
            let logged = try archive.databaseNames(in: segments, map, from: backup.startLSN)
            for drop in drops where drop.database != own {
                guard let moment = DatabaseDropMoment(of: drop.database, in: facts) else { continue }
                let told =
                    logged.databaseName(drop.database, before: drop.lsn)
                    ?? map.databases.first { $0.oid == drop.database }?.name
                if told == name { found.append(moment) } else { others.append((told, moment)) }
            }
        }
        if var last = found.max(by: { $0.drop.lsn < $1.drop.lsn }) {
            last.untold = others.filter { $0.name == nil && $0.moment.drop.lsn > last.drop.lsn }.map(\.moment.drop)
                .sorted { $0.lsn < $1.lsn }
            return last
        }
    }
    throw NoDatabaseDropFound(
        name: name, known: names.sorted(), newest: archive.backups.newest?.label,
        others: names.contains(name) ? [] : archive.offers(others, timeline))
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

/// The archive has no drop of the database.
public struct NoDatabaseDropFound: Explained, Equatable {
    public let name: String
    public let known: [String]
    public let newest: String?
    /// The targets just before other databases were dropped.
    public let others: [PlanRefusal.Alternative]

    private var isUnknown: Bool { newest != nil && !known.contains(name) }
    public var message: String {
        isUnknown ? "no backup has database \"\(name)\"" : "no drop of database \"\(name)\" is in the archive"
    }
    public var detail: String? {
        let all = "The backups know the databases \(known.map { "\"\($0)\"" }.joined(separator: ", "))."
        guard isUnknown, let newest else { return all }
        return
            "WAL before and after the newest backup, \"\(newest)\", shows no database that was dropped "
            + "under this name. " + all
    }
    public var hint: String? {
        if let last = others.last { return "Reachable: \(last.sentence)." }
        if isUnknown {
            return suggestion(for: name, among: known).map { "Did you mean \"\($0)\"?" }
                ?? "Name the moment with --target-time."
        }
        return "Is the segment with the drop archived already? Otherwise name the moment with --target-time."
    }
}

extension RecoveryArchive {
    /// Targets just before databases of other names were dropped, in the order of the WAL.
    fileprivate func offers(
        _ drops: [(name: String?, moment: DatabaseDropMoment)], _ timeline: RecoveryTarget.Timeline
    ) -> [PlanRefusal.Alternative] {
        drops.sorted { $0.moment.drop.lsn < $1.moment.drop.lsn }.compactMap { name, moment in
            var target = moment.target
            target.timeline = timeline
            let database = name.map { "\"\($0)\"" } ?? "with OID \(moment.database), whose name is not known"
            return offer(PlanRequest(target)) { _ in
                "just before transaction \(moment.drop.xid) dropped database \(database)"
            }
        }
    }

    /// The facts of segments, in order; the record across a segment's left boundary comes before its own.
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
    /// Nil when the backup isn't on the history of the timeline.
    /// - Throws: `PlanRefusal` when the timeline is ambiguous.
    public func reachableWAL(from backup: String, timeline: RecoveryTarget.Timeline) throws -> ReachableWAL? {
        let request = PlanRequest(RecoveryTarget(.latest, timeline: timeline), backup: backup)
        return try Planning.reachableWAL(aware(request), from: source)
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
