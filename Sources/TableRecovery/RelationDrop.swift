import Backups
import Recovery
import WAL

/// A relation that was dropped, as far as known.
struct DroppedRelation {
    /// Nil when the WAL shows only the schema's OID.
    var schema: String?
    var name: String
    /// `pg_class.relkind`.
    var kind: String
    /// Its file number at the time of the backup that has it.
    var file: UInt32?
}

/// The drop of a relation by a transaction. A relation that the same transaction created doesn't count.
struct RelationDrop {
    let database: UInt32
    let oid: UInt32
    let transaction: TransactionMark
    /// Only the file number is known, which is a relation's OID until it is rewritten.
    let isFile: Bool
    /// Nil while unknown.
    var relation: DroppedRelation?

    mutating func name(_ known: [UInt32: DroppedRelation]) {
        relation = isFile ? known.values.first { $0.file == oid } ?? known[oid] : known[oid]
    }

    /// The drops in consecutive segments.
    static func all(in segments: [SegmentFacts], major: Int) -> [RelationDrop] {
        var drops: [RelationDrop] = []
        var created: [UInt32: Set<UInt32>] = [:]
        for facts in segments {
            for removal in facts.removals {
                let made = (created.removeValue(forKey: removal.transaction.xid) ?? []).union(removal.createdFiles)
                if removal.isCommit { drops += all(in: removal, made: made, major: major) }
            }
            for open in facts.openTransactions { created[open.xid, default: []].formUnion(open.createdFiles) }
        }
        return drops
    }

    /// - Parameter made: the files that the transaction has created.
    private static func all(in removal: FileRemoval, made: Set<UInt32>, major: Int) -> [RelationDrop] {
        if major >= 15 {
            return removal.droppedRelations.filter { !made.contains($0.oid) }.map {
                RelationDrop(database: $0.database, oid: $0.oid, transaction: removal.transaction, isFile: false)
            }
        }
        // A truncation or rewrite creates new files, a drop none.
        guard made.isEmpty else { return [] }
        return removal.files.map {
            RelationDrop(database: $0.database, oid: $0.number, transaction: removal.transaction, isFile: true)
        }
    }
}

/// Names of relations from the WAL: of those younger than a backup, and of those renamed since.
struct LoggedNames {
    private let rows: LoggedRelations
    /// The schemas in the backup, by OID, with all their names.
    private let schemas: [UInt32: Set<String>]

    /// pg_class and pg_namespace.
    static let catalogs: Set<UInt32> = [1259, 2615]
    /// The schema "public", for backups without a list of schemas.
    private static let publicSchema: UInt32 = 2200

    /// Nil when the backup doesn't know where the catalogs are.
    ///
    /// - Parameter start: what lies before isn't looked at.
    init?(
        _ segments: [SegmentName], upTo last: LSN, from start: LSN, database: UInt32, _ map: RelationMap,
        _ backup: BackupDescription, _ archive: RecoveryArchive, unread: inout [UnreadWAL]
    ) throws {
        func file(_ oid: UInt32) -> UInt32? {
            map.relations.first { $0.database == database && $0.oid == oid }?.fileNode
        }
        guard let classes = file(1259), let namespaces = file(2615) else { return nil }
        rows = try archive.relationRows(
            of: segments.filter { $0.start(segmentSize: backup.segmentSize) <= last }, database: database,
            relations: classes, schemas: namespaces, from: start, unread: &unread)
        var names: [UInt32: Set<String>] = [:]
        for schema in map.schemas where schema.database == database {
            names[schema.oid] = rows.schemaNames(schema.oid).union([schema.name])
        }
        schemas = names
    }

    /// Nil when it isn't known, or has had several names.
    private func schema(_ oid: UInt32) -> String? {
        let names = schemas[oid] ?? rows.schemaNames(oid)
        if names.isEmpty, oid == LoggedNames.publicSchema { return "public" }
        return names.count == 1 ? names.first : nil
    }

    /// The last name of a dropped relation; nil when the WAL doesn't show it.
    func relation(_ drop: RelationDrop, _ known: [UInt32: DroppedRelation]) -> DroppedRelation? {
        guard let row = rows.row(of: drop.oid, before: drop.transaction.lsn) else { return nil }
        let before = known[drop.oid]
        return DroppedRelation(
            schema: schema(row.schema), name: row.name, kind: row.kind, file: before?.file)
    }
}
