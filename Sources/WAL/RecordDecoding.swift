/// The main data is shorter than the record's kind requires.
private struct Short: Error {}

/// Reads a record's main data front to back.
private struct Cursor {
    var at = 0

    @inline(__always)
    mutating func advance(_ data: RawSpan, _ count: Int) throws(Short) -> Int {
        guard count >= 0, count <= data.byteCount - at else { throw Short() }
        defer { at += count }
        return at
    }
    @inline(__always)
    mutating func u32(_ data: RawSpan) throws(Short) -> UInt32 { data.u32(try advance(data, 4)) }
    @inline(__always)
    mutating func u64(_ data: RawSpan) throws(Short) -> UInt64 { data.u64(try advance(data, 8)) }
    /// A number of elements that are `size` bytes each and must all be there.
    mutating func count(_ data: RawSpan, of size: Int) throws(Short) -> Int {
        let count = Int(Int32(bitPattern: try u32(data)))
        guard count >= 0, count <= (data.byteCount - at) / size else { throw Short() }
        return count
    }
}

extension RecordKind {
    /// Decodes a record's main data; nil when it is too short for what it claims to be.
    static func decode(_ header: RecordHeader, end: LSN, version: WALVersion, main: RawSpan) -> RecordKind? {
        do throws(Short) {
            switch header.manager {
            case .xlog: return try xlog(header, end, version, main)
            case .transaction: return try transaction(header, version, main)
            case .storage: return try storage(header, main)
            case .database: return try database(header, version, main)
            case .tablespace: return try tablespace(header, main)
            case .relationMap:
                var cursor = Cursor()
                return .relationMapUpdate(database: try cursor.u32(main), tablespace: try cursor.u32(main))
            case .standby: return try standby(header, main)
            case .heap: return try heap(header, main)
            default: return .other
            }
        } catch {
            return nil
        }
    }

    private static func xlog(
        _ header: RecordHeader, _ end: LSN, _ version: WALVersion, _ main: RawSpan
    ) throws(Short) -> RecordKind {
        var cursor = Cursor()
        switch header.info & RecordInfo.operation {
        case XLogInfo.checkpointShutdown, XLogInfo.checkpointOnline:
            _ = try cursor.advance(main, 88)
            return .checkpoint(
                Checkpoint(
                    lsn: header.lsn, redo: LSN(main.u64(0)), timeline: TimelineID(main.u32(8)),
                    previousTimeline: TimelineID(main.u32(12)),
                    isShutdown: header.info & RecordInfo.operation == XLogInfo.checkpointShutdown,
                    time: Moment(microseconds: Int64(bitPattern: main.u64(64)) &* 1_000_000),
                    walLevel: version >= .v17 ? main.u32(20) : nil, nextFullXID: main.u64(24),
                    fullPageWrites: main.u8(16) != 0))
        case XLogInfo.switchSegment: return .switchSegment
        case XLogInfo.backupEnd:
            return .backupEnd(BackupEnd(lsn: header.lsn, end: end, start: LSN(try cursor.u64(main))))
        case XLogInfo.parameterChange:
            _ = try cursor.advance(main, 26)
            return .parameterChange(
                ParameterChange(
                    lsn: header.lsn, maxConnections: main.u32(0), maxWorkerProcesses: main.u32(4),
                    maxWALSenders: main.u32(8), maxPreparedTransactions: main.u32(12),
                    maxLocksPerTransaction: main.u32(16), walLevel: main.u32(20), walLogHints: main.u8(24) != 0,
                    trackCommitTimestamp: main.u8(25) != 0))
        case XLogInfo.restorePoint:
            let time = Moment(postgres: Int64(bitPattern: try cursor.u64(main)))
            let name = try cursor.advance(main, 64)
            return .restorePoint(
                RestorePoint(lsn: header.lsn, end: end, time: time, name: text(main, name..<name + 64)))
        case XLogInfo.fullPageWritesChange:
            return .fullPageWrites(main.u8(try cursor.advance(main, 1)) != 0)
        case XLogInfo.endOfRecovery:
            let time = Moment(postgres: Int64(bitPattern: try cursor.u64(main)))
            return .endOfRecovery(
                TimelineSwitch(
                    lsn: header.lsn, time: time, timeline: TimelineID(try cursor.u32(main)),
                    previous: TimelineID(try cursor.u32(main)), isPromotion: true))
        case XLogInfo.overwriteContinuation:
            return .overwrittenContinuation(LSN(try cursor.u64(main)))
        case XLogInfo.checkpointRedo where version >= .v17: return .checkpointRedo
        default: return .other
        }
    }

    private static func transaction(
        _ header: RecordHeader, _ version: WALVersion, _ main: RawSpan
    ) throws(Short) -> RecordKind {
        switch header.info & TransactionInfo.operation {
        case TransactionInfo.commit: .commit(try end(header, version, main, commit: true, prepared: false))
        case TransactionInfo.abort: .abort(try end(header, version, main, commit: false, prepared: false))
        case TransactionInfo.commitPrepared: .commit(try end(header, version, main, commit: true, prepared: true))
        case TransactionInfo.abortPrepared: .abort(try end(header, version, main, commit: false, prepared: true))
        case TransactionInfo.prepare: .prepare(try prepare(version, main))
        default: .other
        }
    }

    /// The time of a commit without subtransactions, removed files or two-phase commit: the usual case, decoded without
    /// building a `TransactionEnd`. Nil for anything else.
    static func plainCommit(_ header: RecordHeader, _ main: RawSpan) -> Moment? {
        guard header.info & TransactionInfo.operation == TransactionInfo.commit, main.byteCount >= 8 else { return nil }
        if header.info & TransactionInfo.hasInfo != 0 {
            guard main.byteCount >= 12, main.u32(8) & partsThatMatter == 0 else { return nil }
        }
        return Moment(postgres: Int64(bitPattern: main.u64(0)))
    }

    /// All but invalidations, the database, and flags without data.
    private static let partsThatMatter =
        TransactionParts.subtransactions | TransactionParts.relationFiles | TransactionParts.twoPhase
        | TransactionParts.origin | TransactionParts.droppedStatistics

    /// `xl_xact_commit` and `xl_xact_abort`: the time, then the parts that xinfo names, in this order.
    private static func end(
        _ header: RecordHeader, _ version: WALVersion, _ main: RawSpan, commit: Bool, prepared: Bool
    ) throws(Short) -> TransactionEnd {
        var cursor = Cursor()
        var end = TransactionEnd(
            time: Moment(postgres: Int64(bitPattern: try cursor.u64(main))), xid: header.xid, isPrepared: prepared)
        let parts = header.info & TransactionInfo.hasInfo != 0 ? try cursor.u32(main) : 0
        if parts & TransactionParts.database != 0 {
            end.database = try cursor.u32(main)
            _ = try cursor.u32(main)
        }
        if parts & TransactionParts.subtransactions != 0 {
            let count = try cursor.count(main, of: 4)
            end.subtransactions.reserveCapacity(count)
            for _ in 0..<count { end.subtransactions.append(try cursor.u32(main)) }
        }
        if parts & TransactionParts.relationFiles != 0 {
            let count = try cursor.count(main, of: 12)
            end.removedFiles.reserveCapacity(count)
            for _ in 0..<count {
                end.removedFiles.append(
                    RelationFile(
                        tablespace: try cursor.u32(main), database: try cursor.u32(main), number: try cursor.u32(main)))
            }
        }
        if parts & TransactionParts.droppedStatistics != 0, version >= .v15 {
            let wide = version >= .v18
            let count = try cursor.count(main, of: wide ? 16 : 12)
            end.droppedStatistics.reserveCapacity(count)
            for _ in 0..<count {
                end.droppedStatistics.append(
                    DroppedStatistics(
                        kind: try cursor.u32(main), database: try cursor.u32(main),
                        object: wide ? try cursor.u64(main) : UInt64(try cursor.u32(main))))
            }
        }
        if parts & TransactionParts.invalidations != 0, commit {
            let count = try cursor.count(main, of: 16)
            _ = try cursor.advance(main, count * 16)
        }
        if parts & TransactionParts.twoPhase != 0 {
            end.xid = try cursor.u32(main)
            if parts & TransactionParts.globalIdentifier != 0 {
                let from = cursor.at
                while try main.u8(cursor.advance(main, 1)) != 0 {}
                end.globalIdentifier = text(main, from..<cursor.at)
            }
        }
        if parts & TransactionParts.origin != 0 { _ = try cursor.advance(main, 16) }
        return end
    }

    private static func prepare(_ version: WALVersion, _ main: RawSpan) throws(Short) -> Prepare {
        var cursor = Cursor()
        let size = version >= .v15 ? 72 : 64
        _ = try cursor.advance(main, size)
        let name = try cursor.advance(main, Int(main.u16(version >= .v15 ? 54 : 46)))
        return Prepare(
            time: Moment(postgres: Int64(bitPattern: main.u64(16))), xid: main.u32(8), database: main.u32(12),
            globalIdentifier: text(main, name..<cursor.at))
    }

    /// The state of a prepared transaction, which a PREPARE record and a file in pg_twophase hold alike.
    fileprivate static func prepare(state: RawSpan, _ version: WALVersion) -> Prepare? {
        try? prepare(version, state)
    }

    private static func storage(_ header: RecordHeader, _ main: RawSpan) throws(Short) -> RecordKind {
        var cursor = Cursor()
        switch header.info & RecordInfo.operation {
        case StorageInfo.create:
            _ = try cursor.advance(main, 16)
            guard let fork = Fork(rawValue: UInt8(truncatingIfNeeded: main.u32(12))) else { throw Short() }
            return .storageCreate(
                RelationFile(tablespace: main.u32(0), database: main.u32(4), number: main.u32(8)), fork)
        case StorageInfo.truncate:
            _ = try cursor.advance(main, 20)
            return .storageTruncate(
                StorageTruncation(
                    lsn: header.lsn, xid: header.xid,
                    file: RelationFile(tablespace: main.u32(4), database: main.u32(8), number: main.u32(12)),
                    blocks: main.u32(0), forks: main.u32(16)))
        default: return .other
        }
    }

    private static func database(
        _ header: RecordHeader, _ version: WALVersion, _ main: RawSpan
    ) throws(Short) -> RecordKind {
        var cursor = Cursor()
        let operation = header.info & RecordInfo.operation
        if operation == DatabaseInfo.createFileCopy {
            _ = try cursor.advance(main, 16)
            return .databaseCreate(
                DatabaseCreation(
                    lsn: header.lsn, xid: header.xid, database: main.u32(0), tablespace: main.u32(4),
                    copiedFrom: main.u32(8)))
        }
        if operation == DatabaseInfo.createWALLog, version >= .v15 {
            _ = try cursor.advance(main, 8)
            return .databaseCreate(
                DatabaseCreation(
                    lsn: header.lsn, xid: header.xid, database: main.u32(0), tablespace: main.u32(4), copiedFrom: nil))
        }
        guard operation == DatabaseInfo.drop(version) else { return .other }
        let database = try cursor.u32(main)
        let count = version >= .v13 ? try cursor.count(main, of: 4) : 1
        var tablespaces: [UInt32] = []
        for _ in 0..<count { tablespaces.append(try cursor.u32(main)) }
        return .databaseDrop(
            DatabaseDrop(lsn: header.lsn, xid: header.xid, database: database, tablespaces: tablespaces))
    }

    private static func tablespace(_ header: RecordHeader, _ main: RawSpan) throws(Short) -> RecordKind {
        var cursor = Cursor()
        let oid = try cursor.u32(main)
        switch header.info & RecordInfo.operation {
        case TablespaceInfo.create: return .tablespaceCreate(oid: oid, path: text(main, cursor.at..<main.byteCount))
        case TablespaceInfo.drop: return .tablespaceDrop(oid: oid)
        default: return .other
        }
    }

    private static func standby(_ header: RecordHeader, _ main: RawSpan) throws(Short) -> RecordKind {
        guard header.info & RecordInfo.operation == StandbyInfo.lock else { return .other }
        var cursor = Cursor()
        var locks: [RelationLock] = []
        for _ in 0..<(try cursor.count(main, of: 12)) {
            locks.append(
                RelationLock(
                    xid: try cursor.u32(main), database: try cursor.u32(main), relation: try cursor.u32(main)))
        }
        return .locks(locks)
    }

    private static func heap(_ header: RecordHeader, _ main: RawSpan) throws(Short) -> RecordKind {
        guard header.info & HeapInfo.operation == HeapInfo.truncate else { return .other }
        var cursor = Cursor()
        _ = try cursor.advance(main, 12)
        let count = Int(main.u32(4))
        guard count <= (main.byteCount - 12) / 4 else { throw Short() }
        var relations: [UInt32] = []
        for _ in 0..<count { relations.append(try cursor.u32(main)) }
        return .heapTruncate(
            HeapTruncation(
                lsn: header.lsn, xid: header.xid, database: main.u32(0), flags: main.u8(8), relations: relations))
    }

    /// Bytes up to the first NUL as text; what isn't UTF-8 is replaced.
    private static func text(_ data: RawSpan, _ range: Range<Int>) -> String {
        var bytes: [UInt8] = []
        for at in range {
            let byte = data.u8(at)
            if byte == 0 { break }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Prepare {
    /// Reads a file of pg_twophase; nil when it isn't one.
    public init?(file bytes: [UInt8], major: Int) {
        guard let version = WALVersion(rawValue: major),
            let found = RecordKind.prepare(state: bytes.span.bytes, version)
        else { return nil }
        self = found
    }
}
