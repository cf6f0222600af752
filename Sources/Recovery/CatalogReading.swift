public import Backups
import Platform
import Repository
public import WAL

extension RelationMap {
    /// pg_database's OID, and the number of its file until it is rewritten.
    public static let databaseCatalog: UInt32 = 1262
}

extension RecoveryArchive {
    /// The changes that the WAL of these consecutive segments makes to a database's pg_class and pg_namespace. Reads
    /// only the segments whose summaries show a change to one of the two.
    ///
    /// - Parameters:
    ///   - relations: the file number (relfilenode) of pg_class.
    ///   - schemas: the file number of pg_namespace.
    ///   - start: the backup's redo position; records before it are ignored.
    public func relationRows(
        of names: [SegmentName], database: UInt32, relations: UInt32, schemas: UInt32, from start: LSN
    ) throws -> LoggedRelations {
        try follow(
            RelationRows(database: database, relations: relations, schemas: schemas, from: start), through: names
        ) { map in
            map.mentions(database: database, number: relations) || map.mentions(database: database, number: schemas)
        }
    }

    /// The same for the names of databases.
    ///
    /// - Parameter map: the relation map of the backup whose redo position is `start`.
    public func databaseNames(
        in names: [SegmentName], _ map: RelationMap, from start: LSN
    ) throws -> LoggedRelations {
        let file = map.relations.first { $0.database == 0 && $0.oid == RelationMap.databaseCatalog }?.fileNode
        let number = file ?? RelationMap.databaseCatalog
        return try follow(RelationRows(databases: number, from: start), through: names) { map in
            map.mentions(database: 0, number: number)
        }
    }

    private func follow(
        _ rows: consuming RelationRows, through names: [SegmentName],
        where isConcerned: @Sendable @escaping (BlockMap) -> Bool
    ) throws -> LoggedRelations {
        let archive = contents
        var concerned: [(name: SegmentName, follows: Bool)] = []
        var follows = false
        try mapInOrder(
            names, workers: 4, ahead: 64,
            transform: { name -> (SegmentName, Bool) in
                guard let map = try archive.summary(of: name)?.changedBlocks() else {
                    return (name, true)
                }
                return (name, isConcerned(map))
            },
            consume: { name, isConcerned in
                if isConcerned { concerned.append((name, follows)) }
                follows = isConcerned
            })
        for (name, follows) in concerned {
            let stored = try contents.stored(name)
            rows.begin(name, length: stored.head.rawLength, contents: stored.contents, follows: follows)
            var pages = PageFeed()
            try stored.extractConcurrently { bytes in
                try pages.feed(bytes) { pages in try rows.feed(RawSpan(_unsafeBytes: pages)) }
            }
        }
        return rows.told
    }
}
