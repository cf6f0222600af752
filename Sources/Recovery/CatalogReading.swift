import Platform
import Repository
public import WAL

extension RecoveryArchive {
    /// What the log of these segments, neighbours in this order, does to a database's pg_class and pg_namespace. Reads
    /// those segments only in which one of the two is changed, by their summaries.
    ///
    /// - Parameters:
    ///   - relations: the number of pg_class's file.
    ///   - schemas: of pg_namespace's.
    ///   - start: what lies before isn't looked at: the backup's redo position.
    public func relationRows(
        of names: [SegmentName], database: UInt32, relations: UInt32, schemas: UInt32, from start: LSN
    ) throws -> LoggedRelations {
        var rows = RelationRows(database: database, relations: relations, schemas: schemas, from: start)
        let archive = contents
        var concerned: [(name: SegmentName, follows: Bool)] = []
        var follows = false
        try mapInOrder(
            names, workers: 4, ahead: 64,
            transform: { name -> (SegmentName, Bool) in
                guard let map = try archive.summary(of: name)?.changedBlocks() else {
                    return (name, true)
                }
                return (
                    name,
                    map.mentions(database: database, number: relations)
                        || map.mentions(database: database, number: schemas)
                )
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
