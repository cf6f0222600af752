import WAL

/// Which records of the WAL a scratch cluster must not replay.
///
/// Such a record becomes a NOOP of the same length, transaction and previous record. A record is kept unless it is
/// known to concern only unneeded relations: commits, aborts, checkpoints, locks and all other kinds.
public struct WALFilterRules: Sendable, Equatable {
    /// Nil when only creation and removal of tablespaces are filtered, which would affect the original's directories.
    public let database: UInt32?
    /// File numbers of that database's unneeded relations.
    public let leftOut: Set<UInt32>
    /// File numbers that are needed only up to some position.
    let vanished: VanishedFiles

    /// Filters only records that affect directories outside the scratch cluster.
    public static let outsideOnly = WALFilterRules(database: nil, leftOut: [])

    public init(database: UInt32?, leftOut: Set<UInt32>) {
        self.init(database: database, leftOut: leftOut, vanished: .none)
    }

    init(database: UInt32?, leftOut: Set<UInt32>, vanished: VanishedFiles) {
        (self.database, self.leftOut, self.vanished) = (database, leftOut, vanished)
    }

    var readsBlocks: Bool { database != nil }

    func voids(_ record: WALRecord) -> Bool {
        let lsn = record.header.lsn
        switch record.kind {
        // Redo creates a link to the directory that the original server uses; without it, relations in the tablespace
        // get a directory inside the scratch cluster.
        case .tablespaceCreate, .tablespaceDrop: return true
        default: break
        }
        guard let database else { return false }
        switch record.kind {
        case .storageCreate(let file, _): return isUnneeded(file, lsn)
        case .storageTruncate(let truncation): return isUnneeded(truncation.file, lsn)
        case .databaseCreate(let creation): return creation.database != database
        case .databaseDrop(let drop): return drop.database != database
        case .relationMapUpdate(let owner, _): return owner != database && owner != 0
        default:
            return !record.blocks.isEmpty && record.blocks.allSatisfy { isUnneeded($0.file, lsn) }
        }
    }

    /// Relations of database 0 are the shared catalogs.
    private func isUnneeded(_ file: RelationFile, _ lsn: LSN) -> Bool {
        guard file.database != 0 else { return false }
        return file.database != database || leftOut.contains(file.number) || vanished.contains(file.number, at: lsn)
    }
}
