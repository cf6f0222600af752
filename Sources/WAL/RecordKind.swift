/// The contents of a record that matter to recovery and reports.
public enum RecordKind: Hashable, Sendable {
    case commit(TransactionEnd)
    case abort(TransactionEnd)
    case prepare(Prepare)
    case restorePoint(RestorePoint)
    case checkpoint(Checkpoint)
    /// PostgreSQL 17 and later: the next online checkpoint's redo position is this record.
    case checkpointRedo
    /// The rest of the segment is void.
    case switchSegment
    case backupEnd(BackupEnd)
    case endOfRecovery(TimelineSwitch)
    case parameterChange(ParameterChange)
    case fullPageWrites(Bool)
    /// The record at this position was abandoned by a crash; what follows replaces its remains.
    case overwrittenContinuation(LSN)
    case storageCreate(RelationFile, Fork)
    case storageTruncate(StorageTruncation)
    case databaseCreate(DatabaseCreation)
    case databaseDrop(DatabaseDrop)
    case tablespaceCreate(oid: UInt32, path: String)
    case tablespaceDrop(oid: UInt32)
    case relationMapUpdate(database: UInt32, tablespace: UInt32)
    case locks([RelationLock])
    /// SQL TRUNCATE, only written at wal_level = logical.
    case heapTruncate(HeapTruncation)
    case other
}

/// The end of a transaction (`xl_xact_commit`, `xl_xact_abort`).
public struct TransactionEnd: Hashable, Sendable {
    public var time: Moment
    /// The transaction that ends: for a prepared one its own xid, not that of COMMIT PREPARED.
    public var xid: UInt32
    public var isPrepared: Bool
    /// The database it ran in; 0 when the record doesn't say.
    public var database: UInt32 = 0
    public var subtransactions: [UInt32] = []
    /// Relation files that disappear with it: dropped, truncated or rewritten on commit, created on abort.
    public var removedFiles: [RelationFile] = []
    /// Statistics that are dropped with it (15 and later): they show which relations were really dropped.
    public var droppedStatistics: [DroppedStatistics] = []
    /// Name of the prepared transaction.
    public var globalIdentifier: String? = nil
}

/// PostgreSQL 15 and later name the objects whose statistics a transaction drops (`xl_xact_stats_item`).
public struct DroppedStatistics: Hashable, Sendable {
    /// 1 database, 2 relation, 3 function, 4 replication slot, 5 subscription.
    public let kind: UInt32
    public let database: UInt32
    public let object: UInt64

    public init(kind: UInt32, database: UInt32, object: UInt64) {
        self.kind = kind
        self.database = database
        self.object = object
    }
}

public struct Prepare: Hashable, Sendable {
    public let time: Moment
    public let xid: UInt32
    public let database: UInt32
    public let globalIdentifier: String
}

public struct RestorePoint: Hashable, Sendable {
    public let lsn: LSN
    /// The end of the record: recovery to this position includes it.
    public let end: LSN
    public let time: Moment
    public let name: String

    public init(lsn: LSN, end: LSN, time: Moment, name: String) {
        self.lsn = lsn
        self.end = end
        self.time = time
        self.name = name
    }
}

public struct Checkpoint: Hashable, Sendable {
    public let lsn: LSN
    /// Where replay from this checkpoint starts.
    public let redo: LSN
    public let timeline: TimelineID
    public let previousTimeline: TimelineID
    public let isShutdown: Bool
    /// Whole seconds.
    public let time: Moment
    /// 0 minimal, 1 replica, 2 logical; nil before 17.
    public let walLevel: UInt32?
    /// The next transaction's number, epoch in the high half.
    public let nextFullXID: UInt64
    public let fullPageWrites: Bool
}

public struct BackupEnd: Hashable, Sendable {
    public let lsn: LSN
    public let end: LSN
    /// The redo position of the backup's start checkpoint.
    public let start: LSN
}

/// A new timeline begins: with an end-of-recovery record (promotion) or with a shutdown checkpoint that names another
/// timeline than its predecessor's (the end of a point-in-time recovery).
public struct TimelineSwitch: Hashable, Sendable {
    public let lsn: LSN
    public let time: Moment
    public let timeline: TimelineID
    public let previous: TimelineID
    public let isPromotion: Bool
}

/// Settings a standby must match (`xl_parameter_change`).
public struct ParameterChange: Hashable, Sendable {
    public let lsn: LSN
    public let maxConnections: UInt32
    public let maxWorkerProcesses: UInt32
    public let maxWALSenders: UInt32
    public let maxPreparedTransactions: UInt32
    public let maxLocksPerTransaction: UInt32
    /// 0 minimal, 1 replica, 2 logical.
    public let walLevel: UInt32
    public let walLogHints: Bool
    public let trackCommitTimestamp: Bool
}

/// Files of a relation cut to a length: VACUUM giving back the tail, or TRUNCATE of a table made in the same
/// transaction.
public struct StorageTruncation: Hashable, Sendable {
    public let lsn: LSN
    public let xid: UInt32
    public let file: RelationFile
    /// The new length in blocks of the main fork.
    public let blocks: UInt32
    /// Bits: 1 main fork, 2 visibility map, 4 free space map.
    public let forks: UInt32
}

public struct DatabaseCreation: Hashable, Sendable {
    public let lsn: LSN
    public let xid: UInt32
    public let database: UInt32
    public let tablespace: UInt32
    /// Nil when every block follows in WAL (`STRATEGY wal_log`, 15 and later).
    public let copiedFrom: UInt32?
}

/// Replaying this record removes the database's directories at once, even if the transaction is rolled back.
public struct DatabaseDrop: Hashable, Sendable {
    public let lsn: LSN
    public let xid: UInt32
    public let database: UInt32
    public let tablespaces: [UInt32]
}

/// An AccessExclusive lock, logged for standbys.
public struct RelationLock: Hashable, Sendable {
    public let xid: UInt32
    public let database: UInt32
    /// The relation's OID (not its file number).
    public let relation: UInt32

    public init(xid: UInt32, database: UInt32, relation: UInt32) {
        self.xid = xid
        self.database = database
        self.relation = relation
    }
}

public struct HeapTruncation: Hashable, Sendable {
    public let lsn: LSN
    public let xid: UInt32
    public let database: UInt32
    /// Bits: 1 CASCADE, 2 RESTART IDENTITY.
    public let flags: UInt8
    /// OIDs.
    public let relations: [UInt32]
}

/// One record of the WAL: its header, its end, and its contents.
public struct WALRecord: Hashable, Sendable {
    public let header: RecordHeader
    /// The end of the record, padded to eight bytes; for a segment switch, the end of the segment.
    public let end: LSN
    public let kind: RecordKind
    /// The blocks it changes; empty unless requested.
    public let blocks: [BlockReference]
    /// Bytes of full-page images in it.
    public let imageBytes: UInt32

    public var lsn: LSN { header.lsn }
}
