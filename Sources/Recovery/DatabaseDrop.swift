import BaseBackup
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
/// - Throws: `NoDatabaseDropFound`, and what reading the archive throws.
public func momentBeforeDrop(ofDatabase name: String, in archive: RecoveryArchive) throws -> DatabaseDropMoment {
    var known: Set<String> = []
    for backup in archive.backups.complete.reversed() {
        let map = try RelationMap(of: backup.label, of: archive.incarnation, in: archive.store)
        known.formUnion(map.databases.map(\.name))
        guard let database = map.databases.first(where: { $0.name == name })?.oid,
            let path = try? plan(PlanRequest(RecoveryTarget(.latest), backup: backup.label), from: archive.source)
        else { continue }
        var rows: [DatabaseRowChange] = []
        var drop: DatabaseDrop?
        for facts in try archive.facts(of: path.segmentNames) {
            rows += facts.databaseRows
            if let found = facts.databaseDrops.first(where: { $0.database == database }) {
                drop = found
                break
            }
        }
        guard let drop else { continue }
        let before = rows.filter { $0.lsn < drop.lsn }
        guard let deletion = before.last(where: { $0.isDelete && $0.xid == drop.xid }) else {
            return DatabaseDropMoment(
                target: RecoveryTarget(.lsn(drop.lsn), inclusive: false), database: database, drop: drop,
                isMarked: false)
        }
        let mark = before.last {
            !$0.isDelete && $0.xid == 0 && $0.block == deletion.block && $0.row == deletion.row
        }
        return DatabaseDropMoment(
            target: RecoveryTarget(.lsn(mark?.lsn ?? deletion.lsn), inclusive: false), database: database, drop: drop,
            isMarked: mark != nil)
    }
    throw NoDatabaseDropFound(name: name, known: known.sorted())
}

/// The archive doesn't tell of a drop of the database.
public struct NoDatabaseDropFound: Explained, Equatable {
    public let name: String
    public let known: [String]
    public var message: String { "no drop of database \"\(name)\" is in the archive" }
    public var detail: String? {
        "The backups know the databases \(known.map { "\"\($0)\"" }.joined(separator: ", "))."
    }
    public var hint: String? {
        "Is the segment with the drop archived already? Otherwise name the moment with --target-time."
    }
}

extension RecoveryArchive {
    /// What the segments say, in order; the record that straddles into one comes before the segment's own.
    public func facts(of names: [SegmentName]) throws -> [SegmentFacts] {
        var continuity = Continuity()
        var all: [SegmentFacts] = []
        let (store, incarnation) = (store, incarnation)
        try mapInOrder(
            names, workers: 4, ahead: 64,
            transform: { name -> SegmentSummary? in
                let head = try StoredSegment(incarnation.segment(name), in: store).head
                return head.summary.isEmpty ? nil : try SegmentSummary(decoding: head.summary)
            },
            consume: { summary in
                guard let summary else { return }
                if case .joined(let record?) = continuity.add(summary), let facts = record.facts { all.append(facts) }
                all.append(summary.facts)
            })
        return all
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
