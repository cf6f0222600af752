import BaseBackup
public import Platform
public import Recovery
public import WAL

/// The moment just before tables were dropped.
public struct DropMoment: Sendable {
    /// Stops before the commit of the transaction that dropped the first of them.
    public let target: RecoveryTarget
    /// When each was dropped, as the archive tells.
    public let drops: [(table: TableName, transaction: TransactionMark)]
}

/// Finds when tables were dropped: their OIDs are in the backups' relation maps, and since PostgreSQL 15 a commit names
/// the OIDs of what it drops; before, the files that vanish with a commit which creates none tell it.
///
/// - Parameter timeline: of the history that is looked through.
/// - Throws: `NoDropFound`, `PlanRefusal` when there is no telling which timeline is meant, and what reading the archive
///   throws.
public func momentBeforeDrop(
    of tables: [TablePattern], in archive: RecoveryArchive, timeline: RecoveryTarget.Timeline = .own
) throws -> DropMoment {
    for backup in archive.backups.complete.reversed() {
        let map = try RelationMap(of: backup.label, of: archive.incarnation, in: archive.store) { relation in
            tables.contains {
                FileSelection.mayBeMeant(relation.kind, by: $0)
                    && $0.matches(schema: relation.schema, table: relation.name)
            }
        }
        guard let database = map.databases.first(where: { $0.name == tables[0].database }) else { continue }
        let relations = map.relations.filter { $0.database == database.oid }
        guard !relations.isEmpty else { continue }
        guard let log = try archive.reachableLog(from: backup.label, timeline: timeline) else { continue }
        let removals = try archive.facts(of: log.segments).flatMap(\.removals)
        var drops: [UInt32: TransactionMark] = [:]
        for removal in removals where removal.isCommit && log.holds(removal.transaction.lsn) {
            for relation in relations where removes(removal, relation, database.oid) {
                drops[relation.oid] = removal.transaction
            }
        }
        guard let first = drops.values.min(by: { $0.lsn < $1.lsn }) else { continue }
        let found = relations.compactMap { relation in
            drops[relation.oid].map {
                (table: TableName(schema: relation.schema, name: relation.name), transaction: $0)
            }
        }
        return DropMoment(
            target: RecoveryTarget(.lsn(first.lsn), inclusive: false), drops: found.sorted { $0.table < $1.table })
    }
    throw NoDropFound(pattern: tables[0])
}

private func removes(_ removal: FileRemoval, _ relation: RelationMap.RelationRow, _ database: UInt32) -> Bool {
    if removal.droppedRelations.contains(where: { $0.oid == relation.oid && $0.database == database }) { return true }
    guard removal.droppedRelations.isEmpty, removal.createdFiles.isEmpty, let node = relation.fileNode else {
        return false
    }
    return removal.files.contains { $0.database == database && $0.number == node }
}

/// The archive doesn't tell of a drop of these tables.
public struct NoDropFound: Explained, Equatable {
    public let pattern: TablePattern
    public var message: String { "no drop of the tables is in the archive" }
    public var detail: String? {
        "Looked for tables of database \"\(pattern.database)\" that a backup knows, and for transactions since that "
            + "dropped them. A table that was made and dropped between two backups is known to none."
    }
    public var hint: String? {
        "Is the segment with the drop archived already? Otherwise name the moment with --target-time."
    }
}
