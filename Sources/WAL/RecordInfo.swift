/// The info byte of a record, by resource manager, and other constants of PostgreSQL's WAL records. Each has the name
/// that PostgreSQL's header file gives it.

/// src/include/access/xlogrecord.h.
enum RecordInfo {
    /// The part that belongs to the resource manager, whose operation it names (the complement of `XLR_INFO_MASK`).
    static let operation: UInt8 = 0xF0
    /// `XLR_SPECIAL_REL_UPDATE`: the record changes files in a way that its block references don't show.
    static let specialRelationUpdate: UInt8 = 0x01
}

/// Operations of `RM_XLOG_ID` (src/include/catalog/pg_control.h).
enum XLogInfo {
    /// `XLOG_CHECKPOINT_SHUTDOWN`
    static let checkpointShutdown: UInt8 = 0x00
    /// `XLOG_CHECKPOINT_ONLINE`
    static let checkpointOnline: UInt8 = 0x10
    /// `XLOG_NOOP`
    static let noOperation: UInt8 = 0x20
    /// `XLOG_SWITCH`
    static let switchSegment: UInt8 = 0x40
    /// `XLOG_BACKUP_END`
    static let backupEnd: UInt8 = 0x50
    /// `XLOG_PARAMETER_CHANGE`
    static let parameterChange: UInt8 = 0x60
    /// `XLOG_RESTORE_POINT`
    static let restorePoint: UInt8 = 0x70
    /// `XLOG_FPW_CHANGE`
    static let fullPageWritesChange: UInt8 = 0x80
    /// `XLOG_END_OF_RECOVERY`
    static let endOfRecovery: UInt8 = 0x90
    /// `XLOG_OVERWRITE_CONTRECORD`
    static let overwriteContinuation: UInt8 = 0xD0
    /// `XLOG_CHECKPOINT_REDO`, since PostgreSQL 17.
    static let checkpointRedo: UInt8 = 0xE0
}

/// Operations of `RM_XACT_ID` (src/include/access/xact.h).
enum TransactionInfo {
    /// `XLOG_XACT_OPMASK`
    static let operation: UInt8 = 0x70
    /// `XLOG_XACT_HAS_INFO`: an xinfo follows the time.
    static let hasInfo: UInt8 = 0x80
    /// `XLOG_XACT_COMMIT`
    static let commit: UInt8 = 0x00
    /// `XLOG_XACT_PREPARE`
    static let prepare: UInt8 = 0x10
    /// `XLOG_XACT_ABORT`
    static let abort: UInt8 = 0x20
    /// `XLOG_XACT_COMMIT_PREPARED`
    static let commitPrepared: UInt8 = 0x30
    /// `XLOG_XACT_ABORT_PREPARED`
    static let abortPrepared: UInt8 = 0x40
}

/// Bits of a transaction's xinfo, in the order of the parts that they announce (src/include/access/xact.h).
enum TransactionParts {
    /// `XACT_XINFO_HAS_DBINFO`
    static let database: UInt32 = 1 << 0
    /// `XACT_XINFO_HAS_SUBXACTS`
    static let subtransactions: UInt32 = 1 << 1
    /// `XACT_XINFO_HAS_RELFILELOCATORS`
    static let relationFiles: UInt32 = 1 << 2
    /// `XACT_XINFO_HAS_INVALS`
    static let invalidations: UInt32 = 1 << 3
    /// `XACT_XINFO_HAS_TWOPHASE`
    static let twoPhase: UInt32 = 1 << 4
    /// `XACT_XINFO_HAS_ORIGIN`
    static let origin: UInt32 = 1 << 5
    /// `XACT_XINFO_HAS_GID`
    static let globalIdentifier: UInt32 = 1 << 7
    /// `XACT_XINFO_HAS_DROPPED_STATS`, since PostgreSQL 15.
    static let droppedStatistics: UInt32 = 1 << 8
}

/// Operations of `RM_SMGR_ID` (src/include/catalog/storage_xlog.h).
enum StorageInfo {
    /// `XLOG_SMGR_CREATE`
    static let create: UInt8 = 0x10
    /// `XLOG_SMGR_TRUNCATE`
    static let truncate: UInt8 = 0x20
}

/// Operations of `RM_DBASE_ID` (src/include/commands/dbcommands_xlog.h).
enum DatabaseInfo {
    /// `XLOG_DBASE_CREATE_FILE_COPY`; the only way to create one before PostgreSQL 15.
    static let createFileCopy: UInt8 = 0x00
    /// `XLOG_DBASE_CREATE_WAL_LOG`, since PostgreSQL 15.
    static let createWALLog: UInt8 = 0x10
    /// `XLOG_DBASE_DROP`
    static func drop(_ version: WALVersion) -> UInt8 { version >= .v15 ? 0x20 : 0x10 }
}

/// Operations of `RM_TBLSPC_ID` (src/include/commands/tablespace.h).
enum TablespaceInfo {
    /// `XLOG_TBLSPC_CREATE`
    static let create: UInt8 = 0x00
    /// `XLOG_TBLSPC_DROP`
    static let drop: UInt8 = 0x10
}

/// Operations of `RM_STANDBY_ID` (src/include/storage/standbydefs.h).
enum StandbyInfo {
    /// `XLOG_STANDBY_LOCK`
    static let lock: UInt8 = 0x00
}

/// Operations of `RM_HEAP_ID` (src/include/access/heapam_xlog.h).
enum HeapInfo {
    /// `XLOG_HEAP_OPMASK`
    static let operation: UInt8 = 0x70
    /// `XLOG_HEAP_INSERT`
    static let insert: UInt8 = 0x00
    /// `XLOG_HEAP_DELETE`
    static let delete: UInt8 = 0x10
    /// `XLOG_HEAP_UPDATE`
    static let update: UInt8 = 0x20
    /// `XLOG_HEAP_TRUNCATE`
    static let truncate: UInt8 = 0x30
    /// `XLOG_HEAP_HOT_UPDATE`
    static let hotUpdate: UInt8 = 0x40
    /// `XLOG_HEAP_INPLACE`
    static let inPlace: UInt8 = 0x70
    /// `XLH_UPDATE_PREFIX_FROM_OLD` and `XLH_UPDATE_SUFFIX_FROM_OLD`, flags of an update.
    static let prefixFromOld: UInt8 = 0x20
    static let suffixFromOld: UInt8 = 0x40
}

/// The first byte of a part of a record; up to `maximum` it is the number of a block reference
/// (src/include/access/xlogrecord.h).
enum BlockID {
    /// `XLR_MAX_BLOCK_ID`
    static let maximum: UInt8 = 32
    /// `XLR_BLOCK_ID_DATA_SHORT`
    static let dataShort: UInt8 = 255
    /// `XLR_BLOCK_ID_DATA_LONG`
    static let dataLong: UInt8 = 254
    /// `XLR_BLOCK_ID_ORIGIN`
    static let origin: UInt8 = 253
    /// `XLR_BLOCK_ID_TOPLEVEL_XID`
    static let topLevelXID: UInt8 = 252
}

/// Bits of a block reference (src/include/access/xlogrecord.h).
enum BlockBits {
    /// `BKPBLOCK_FORK_MASK`
    static let fork: UInt8 = 0x0F
    /// `BKPBLOCK_HAS_IMAGE`
    static let hasImage: UInt8 = 0x10
    /// `BKPBLOCK_HAS_DATA`
    static let hasData: UInt8 = 0x20
    /// `BKPBLOCK_SAME_REL`
    static let sameRelation: UInt8 = 0x80
}

/// Bits of a page image's header, which PostgreSQL 15 renumbered (src/include/access/xlogrecord.h).
enum ImageBits {
    /// `BKPIMAGE_HAS_HOLE`
    static let hasHole: UInt8 = 0x01
    /// `BKPIMAGE_APPLY`: replay puts the image in the page's place.
    @inline(__always)
    static func apply(_ version: WALVersion) -> UInt8 { version >= .v15 ? 0x02 : 0x04 }
    /// `BKPIMAGE_COMPRESS_PGLZ`, `BKPIMAGE_IS_COMPRESSED` before PostgreSQL 15.
    @inline(__always)
    static func pglz(_ version: WALVersion) -> UInt8 { version >= .v15 ? 0x04 : 0x02 }
    /// `BKPIMAGE_COMPRESSED`: any of `BKPIMAGE_COMPRESS_PGLZ`, `_LZ4`, `_ZSTD`.
    @inline(__always)
    static func compressed(_ version: WALVersion) -> UInt8 { version >= .v15 ? 0x1C : 0x02 }
}
