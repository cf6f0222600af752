/// A transaction's end: XID, time and position.
public struct TransactionMark: Hashable, Sendable {
    public let lsn: LSN
    /// The end of the record: a recovery that includes the transaction has replayed up to here.
    public let end: LSN
    public let time: Moment
    public let xid: UInt32

    public init(lsn: LSN, end: LSN, time: Moment, xid: UInt32) {
        self.lsn = lsn
        self.end = end
        self.time = time
        self.xid = xid
    }
}

/// A transaction that removed relation files when it ended.
public struct FileRemoval: Hashable, Sendable {
    public let transaction: TransactionMark
    /// False for the files that a rolled-back transaction had created.
    public let isCommit: Bool
    public let isPrepared: Bool
    public let files: [RelationFile]
    /// OIDs of relations whose statistics were dropped, 15 and later: really dropped, not truncated or rewritten.
    public let droppedRelations: [DroppedRelation]
    /// The exclusive locks of the transaction, as far as this range of WAL shows.
    public let locks: [RelationLock]
    /// Numbers of the files the transaction had created, as far as this range shows: a truncation or rewrite creates
    /// new ones, a drop none. A relation that a transaction creates gets its OID as file number, if that is free.
    public let createdFiles: [UInt32]
    /// The database it ran in; 0 when the record doesn't say.
    public let database: UInt32

    public struct DroppedRelation: Hashable, Sendable {
        public let database: UInt32
        public let oid: UInt32
    }

    /// Completed with what earlier segments showed of the transaction.
    public func knowing(_ earlier: OpenTransaction) -> FileRemoval {
        FileRemoval(
            transaction: transaction, isCommit: isCommit, isPrepared: isPrepared, files: files,
            droppedRelations: droppedRelations,
            locks: earlier.locks.filter { !locks.contains($0) } + locks,
            createdFiles: earlier.createdFiles.filter { !createdFiles.contains($0) } + createdFiles, database: database)
    }
}

/// A transaction that has not ended where the range ends, and what it may destroy later.
public struct OpenTransaction: Hashable, Sendable {
    public let xid: UInt32
    public let locks: [RelationLock]
    /// Numbers of the files it has created.
    public let createdFiles: [UInt32]

    public init(xid: UInt32, locks: [RelationLock], createdFiles: [UInt32]) {
        self.xid = xid
        self.locks = locks
        self.createdFiles = createdFiles
    }
}

/// A row of pg_database updated in place or deleted. DROP DATABASE first marks the row, in place and outside its
/// transaction: a recovery that is to bring the database back must stop before that.
public struct DatabaseRowChange: Hashable, Sendable {
    public let lsn: LSN
    public let xid: UInt32
    public let block: UInt32
    /// The row's line pointer number.
    public let row: UInt16
    public let isDelete: Bool
}

/// The facts in the records of a range of WAL: a segment's own records, or the one that crosses its left boundary.
public struct SegmentFacts: Hashable, Sendable {
    public var records: UInt64 = 0
    /// Bytes of those records.
    public var recordBytes: UInt64 = 0
    public var images: UInt64 = 0
    public var imageBytes: UInt64 = 0
    public var commits: UInt64 = 0
    public var aborts: UInt64 = 0
    public var prepares: UInt64 = 0

    /// By position in the WAL.
    public var firstCommit: TransactionMark?
    public var lastCommit: TransactionMark?
    /// By time. Commit times are not in the order of the WAL: they are taken before the record is written.
    public var earliestCommit: TransactionMark?
    public var latestCommit: TransactionMark?
    /// Of commits and aborts, prepared or not: what recovery compares a target time with (`recoveryStopsBefore`).
    public var earliestStop: Moment?
    public var latestStop: Moment?

    /// The range of the XIDs of all transactions that end here, as plain numbers (they wrap around); nil when none
    /// does.
    public var lowestXID: UInt32?
    public var highestXID: UInt32?

    public var restorePoints: [RestorePoint] = []
    public var checkpoints: [Checkpoint] = []
    public var backupEnds: [BackupEnd] = []
    public var timelineSwitches: [TimelineSwitch] = []
    public var parameterChanges: [ParameterChange] = []
    public var removals: [FileRemoval] = []
    public var truncations: [StorageTruncation] = []
    public var heapTruncations: [HeapTruncation] = []
    public var databaseCreations: [DatabaseCreation] = []
    public var databaseDrops: [DatabaseDrop] = []
    public var tablespaceCreations: [TablespaceCreation] = []
    public var tablespaceDrops: [TablespaceDrop] = []
    public var openTransactions: [OpenTransaction] = []
    public var databaseRows: [DatabaseRowChange] = []
    /// A record of an unknown kind that changes files: from here on the block map may be incomplete.
    public var blockMapUnsound: LSN?
    /// Whether any of the records was written with wal_level = minimal.
    public var minimalWAL = false

    public init() {}

    public struct TablespaceCreation: Hashable, Sendable {
        public let lsn: LSN
        public let xid: UInt32
        public let tablespace: UInt32
        /// Empty for one that lies in the data directory (`allow_in_place_tablespaces`).
        public let location: String
    }

    public struct TablespaceDrop: Hashable, Sendable {
        public let lsn: LSN
        public let xid: UInt32
        public let tablespace: UInt32
    }
}
