/// Sums up the records of a range of WAL.
struct FactsCollector: RecordVisitor {
    private(set) var facts = SegmentFacts()
    private(set) var blocks = BlockMap()
    /// What transactions have done that may still destroy something, by XID (subtransactions separately).
    private var pending: [UInt32: Pending] = [:]
    private var images: UInt64 = 0
    private var imageBytes: UInt64 = 0
    /// The block of pg_database that the current record changes.
    private var databaseBlock: UInt32?

    private struct Pending {
        var locks: Set<RelationLock> = []
        var createdFiles: [UInt32] = []
    }

    /// The file number of pg_database in the shared tablespace, unless that catalog has been rewritten.
    private static let databaseCatalog: UInt32 = 1262
    private static let sharedTablespace: UInt32 = 1664

    /// The facts, once all records have been visited.
    func finished() -> SegmentFacts {
        var facts = facts
        facts.images = images
        facts.imageBytes = imageBytes
        facts.openTransactions = pending.sorted { $0.key < $1.key }.map { xid, found in
            OpenTransaction(xid: xid, locks: found.locks.inOrder, createdFiles: found.createdFiles)
        }
        return facts
    }

    @inline(__always)
    mutating func block(
        id: UInt8, fork: UInt8, tablespace: UInt32, database: UInt32, number: UInt32, block: UInt32,
        dataLength: Int, imageLength: UInt32, imageIsRestored: Bool, imageHeader: Int
    ) {
        if imageLength > 0 {
            images += 1
            imageBytes += UInt64(imageLength)
        }
        // Free space and visibility maps change without WAL, too: a block-wise copy must copy them completely.
        guard fork == Fork.main.rawValue || fork == Fork.initial.rawValue else { return }
        blocks.change(tablespace: tablespace, database: database, number: number, fork: fork, block: block)
        if number == FactsCollector.databaseCatalog, tablespace == FactsCollector.sharedTablespace {
            databaseBlock = block
        }
    }

    @inline(__always)
    mutating func record(_ header: RecordHeader, end: LSN, version: WALVersion, main: RawSpan) -> RecordVerdict {
        facts.records &+= 1
        facts.recordBytes &+= UInt64(header.length)
        let manager = header.manager.rawValue
        // Of resource managers above 8 only truncations matter, and records that change files without block references.
        if manager <= 8 || databaseBlock != nil || header.info & RecordInfo.specialRelationUpdate != 0
            || (header.manager == .heap && header.info & HeapInfo.operation == HeapInfo.truncate)
        {
            return interpret(header, end: end, version: version, main: main)
        }
        return .good
    }

    @inline(never)
    private mutating func interpret(
        _ header: RecordHeader, end: LSN, version: WALVersion, main: RawSpan
    ) -> RecordVerdict {
        if let block = databaseBlock {
            databaseBlock = nil
            noteDatabaseRow(header, block: block, main)
        }
        if header.manager == .transaction, let time = RecordKind.plainCommit(header, main) {
            noteCommit(TransactionMark(lsn: header.lsn, end: end, time: time, xid: header.xid))
            if !pending.isEmpty { pending.removeValue(forKey: header.xid) }
            return .good
        }
        guard let kind = RecordKind.decode(header, end: end, version: version, main: main) else { return .malformed }
        apply(kind, header, end)
        return .good
    }

    /// Adds a record.
    mutating func apply(_ kind: RecordKind, _ header: RecordHeader, _ end: LSN) {
        switch kind {
        case .commit(let transaction): finish(transaction, header, end, isCommit: true)
        case .abort(let transaction): finish(transaction, header, end, isCommit: false)
        case .prepare: facts.prepares += 1
        case .restorePoint(let point): facts.restorePoints.append(point)
        case .checkpoint(let checkpoint):
            facts.checkpoints.append(checkpoint)
            if checkpoint.walLevel == 0 { facts.minimalWAL = true }
            if checkpoint.isShutdown, checkpoint.timeline != checkpoint.previousTimeline {
                facts.timelineSwitches.append(
                    TimelineSwitch(
                        lsn: checkpoint.lsn, time: checkpoint.time, timeline: checkpoint.timeline,
                        previous: checkpoint.previousTimeline, isPromotion: false))
            }
        case .backupEnd(let backup): facts.backupEnds.append(backup)
        case .endOfRecovery(let timelineSwitch): facts.timelineSwitches.append(timelineSwitch)
        case .parameterChange(let change):
            facts.parameterChanges.append(change)
            if change.walLevel == 0 { facts.minimalWAL = true }
        case .storageCreate(let file, let fork):
            if fork == .main || fork == .initial { blocks.cut(file, fork, to: 0) }
            if fork == .main, header.xid != 0 {
                pending[header.xid, default: Pending()].createdFiles.append(file.number)
            }
        case .storageTruncate(let truncation):
            facts.truncations.append(truncation)
            if truncation.forks & 1 != 0 { blocks.cut(truncation.file, .main, to: truncation.blocks) }
        case .databaseCreate(let creation):
            facts.databaseCreations.append(creation)
            replaceDirectory(database: creation.database, tablespace: creation.tablespace)
        case .databaseDrop(let drop):
            facts.databaseDrops.append(drop)
            for tablespace in drop.tablespaces { replaceDirectory(database: drop.database, tablespace: tablespace) }
        case .tablespaceCreate(let oid, let path):
            facts.tablespaceCreations.append(
                SegmentFacts.TablespaceCreation(lsn: header.lsn, xid: header.xid, tablespace: oid, location: path))
        case .tablespaceDrop(let oid):
            facts.tablespaceDrops.append(
                SegmentFacts.TablespaceDrop(lsn: header.lsn, xid: header.xid, tablespace: oid))
        case .locks(let locks):
            for lock in locks where lock.xid != 0 { pending[lock.xid, default: Pending()].locks.insert(lock) }
        case .heapTruncate(let truncation): facts.heapTruncations.append(truncation)
        case .other:
            // Redo of an unknown record may change files that no block reference names.
            if header.info & RecordInfo.specialRelationUpdate != 0, facts.blockMapUnsound == nil {
                facts.blockMapUnsound = header.lsn
            }
        default: break
        }
    }

    private mutating func replaceDirectory(database: UInt32, tablespace: UInt32) {
        blocks.cut(RelationFile(tablespace: tablespace, database: database, number: 0), .main, to: 0)
    }

    private mutating func noteStop(_ time: Moment) {
        facts.earliestStop = min(facts.earliestStop ?? time, time)
        facts.latestStop = max(facts.latestStop ?? time, time)
    }

    private mutating func noteEnd(_ mark: TransactionMark) {
        noteStop(mark.time)
        facts.lowestXID = min(facts.lowestXID ?? mark.xid, mark.xid)
        facts.highestXID = max(facts.highestXID ?? mark.xid, mark.xid)
    }

    private mutating func noteCommit(_ mark: TransactionMark) {
        noteEnd(mark)
        if facts.commits == 0 {
            facts.firstCommit = mark
            facts.earliestCommit = mark
            facts.latestCommit = mark
        } else {
            if let earliest = facts.earliestCommit, mark.time < earliest.time { facts.earliestCommit = mark }
            if let latest = facts.latestCommit, mark.time >= latest.time { facts.latestCommit = mark }
        }
        facts.lastCommit = mark
        facts.commits += 1
    }

    private mutating func finish(_ transaction: TransactionEnd, _ header: RecordHeader, _ end: LSN, isCommit: Bool) {
        let mark = TransactionMark(lsn: header.lsn, end: end, time: transaction.time, xid: transaction.xid)
        if isCommit {
            noteCommit(mark)
        } else {
            noteEnd(mark)
            facts.aborts += 1
        }
        var locks: Set<RelationLock> = []
        var createdFiles: [UInt32] = []
        if !pending.isEmpty {
            for xid in CollectionOfOne(transaction.xid) { take(xid, &locks, &createdFiles) }
            for xid in transaction.subtransactions { take(xid, &locks, &createdFiles) }
        }
        if !transaction.removedFiles.isEmpty {
            for file in transaction.removedFiles {
                blocks.cut(file, .main, to: 0)
                blocks.cut(file, .initial, to: 0)
            }
            facts.removals.append(
                FileRemoval(
                    transaction: mark, isCommit: isCommit, isPrepared: transaction.isPrepared,
                    files: transaction.removedFiles,
                    droppedRelations: transaction.droppedStatistics.filter { $0.kind == 2 }.map {
                        FileRemoval.DroppedRelation(database: $0.database, oid: UInt32(truncatingIfNeeded: $0.object))
                    }, locks: locks.inOrder, createdFiles: createdFiles, database: transaction.database))
        }
    }

    private mutating func take(_ xid: UInt32, _ locks: inout Set<RelationLock>, _ createdFiles: inout [UInt32]) {
        guard let found = pending.removeValue(forKey: xid) else { return }
        locks.formUnion(found.locks)
        createdFiles += found.createdFiles
    }

    /// Records changes of pg_database's rows: DROP DATABASE marks the row outside its transaction, then deletes it.
    private mutating func noteDatabaseRow(_ header: RecordHeader, block: UInt32, _ main: RawSpan) {
        guard header.manager == .heap else { return }
        let isDelete: Bool
        switch header.info & HeapInfo.operation {
        case HeapInfo.inPlace where main.byteCount >= 2: isDelete = false
        case HeapInfo.delete where main.byteCount >= 6: isDelete = true
        default: return
        }
        facts.databaseRows.append(
            DatabaseRowChange(
                lsn: header.lsn, xid: header.xid, block: block, row: main.u16(isDelete ? 4 : 0), isDelete: isDelete))
    }
}

extension SegmentFacts {
    /// The facts of one record, without its blocks and its changes to rows of pg_database.
    public init(_ record: WALRecord) {
        var collector = FactsCollector()
        collector.apply(record.kind, record.header, record.end)
        self = collector.finished()
        records = 1
        recordBytes = UInt64(record.header.length)
    }
}

extension Set<RelationLock> {
    fileprivate var inOrder: [RelationLock] {
        sorted { ($0.xid, $0.database, $0.relation) < ($1.xid, $1.database, $1.relation) }
    }
}
