import Backups
import Recovery
import WAL

/// What is known of a relation that was dropped.
struct DroppedRelation {
    /// Nil when the WAL tells the schema's number only.
    var schema: String?
    var name: String
    /// `pg_class.relkind`.
    var kind: String
    /// The number of its file at the time of the backup that knows it.
    var file: UInt32?
}

/// That a transaction dropped a relation. One that it had made itself was never there for anybody else.
struct RelationDrop {
    let database: UInt32
    let oid: UInt32
    let transaction: TransactionMark
    /// Only the file's number is known, which is a relation's OID until it is rewritten.
    let isFile: Bool
    /// Nil as long as nobody has told.
    var relation: DroppedRelation?

    mutating func name(_ known: [UInt32: DroppedRelation]) {
        relation = isFile ? known.values.first { $0.file == oid } ?? known[oid] : known[oid]
    }

    /// The drops that segments, neighbours in the order of the WAL, tell of.
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
        // A truncation or a rewrite makes new files, a drop none.
        guard made.isEmpty else { return [] }
        return removal.files.map {
            RelationDrop(database: $0.database, oid: $0.number, transaction: removal.transaction, isFile: true)
        }
    }
}

/// Names of relations as the WAL tells them: of those that are younger than a backup, and of those renamed since.
struct LoggedNames {
    private let rows: LoggedRelations
    /// Those that the backup knows, by their OIDs, with all their names.
    private let schemas: [UInt32: Set<String>]

    /// pg_class and pg_namespace.
    static let catalogs: Set<UInt32> = [1259, 2615]
    /// The schema "public", for backups that tell of no schemas.
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

    /// What a dropped relation was called in the end; nil when the WAL doesn't tell.
    func relation(_ drop: RelationDrop, _ known: [UInt32: DroppedRelation]) -> DroppedRelation? {
        guard let row = rows.row(of: drop.oid, before: drop.transaction.lsn) else { return nil }
        let before = known[drop.oid]
        return DroppedRelation(
            schema: schema(row.schema), name: row.name, kind: row.kind, file: before?.file)
    }
}
