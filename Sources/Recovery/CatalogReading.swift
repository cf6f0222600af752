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
    ///   - relations: the number of pg_class's file.
    ///   - schemas: of pg_namespace's.
    ///   - start: what lies before isn't looked at: the backup's redo position.
    ///   - unread: gets the segments that can't be read, and are passed over.
    public func relationRows(
        of names: [SegmentName], database: UInt32, relations: UInt32, schemas: UInt32, from start: LSN,
        unread: inout [UnreadWAL]
    ) throws -> LoggedRelations {
        try follow(
            RelationRows(database: database, relations: relations, schemas: schemas, from: start), through: names,
            &unread
        ) { map in
            map.mentions(database: database, number: relations) || map.mentions(database: database, number: schemas)
        }
    }

    /// The same for the names of databases.
    ///
    /// - Parameters:
    ///   - map: of the backup from whose redo position, `start`, on the WAL is looked at.
    ///   - unread: gets the segments that can't be read, and are passed over.
    public func databaseNames(
        in names: [SegmentName], _ map: RelationMap, from start: LSN, unread: inout [UnreadWAL]
    ) throws -> LoggedRelations {
        let file = map.relations.first { $0.database == 0 && $0.oid == RelationMap.databaseCatalog }?.fileNode
        let number = file ?? RelationMap.databaseCatalog
        return try follow(RelationRows(databases: number, from: start), through: names, &unread) { map in
            map.mentions(database: 0, number: number)
        }
    }

    private func follow(
        _ rows: consuming RelationRows, through names: [SegmentName], _ unread: inout [UnreadWAL],
        where isConcerned: @Sendable @escaping (BlockMap) -> Bool
    ) throws -> LoggedRelations {
        let archive = self
        var concerned: [(name: SegmentName, follows: Bool)] = []
        var follows = false
        let size = source.segmentSize
        var last: UInt64?
        try mapInOrder(
            names, workers: 4, ahead: 64,
            transform: { name -> (SegmentName, Bool, UnreadWAL?) in
                do {
                    guard let map = try archive.summary(of: name)?.changedBlocks() else { return (name, true, nil) }
                    return (name, isConcerned(map), nil)
                } catch {
                    guard let one = UnreadWAL(name, error) else { throw error }
                    return (name, false, one)
                }
            },
            consume: { name, isConcerned, lost in
                if let lost { unread.append(lost) }
                // Behind a gap nothing is continued.
                let number = name.number(segmentSize: size)
                if let last, number > last + 1 { follows = false }
                last = number
                if isConcerned { concerned.append((name, follows)) }
                follows = isConcerned
            })
        var isBroken = false
        for (name, follows) in concerned {
            do {
                let piece = try piece(name)
                rows.begin(
                    name, length: try piece.length(), contents: piece.contents, follows: follows && !isBroken)
                isBroken = false
                var pages = PageFeed()
                try piece.extract { bytes in
                    try pages.feed(bytes) { pages in try rows.feed(RawSpan(_unsafeBytes: pages)) }
                }
            } catch {
                guard let one = UnreadWAL(name, error) else { throw error }
                unread.append(one)
                isBroken = true
            }
        }
        return rows.told
    }
}
