public import Backups
public import DataDirectory
public import Planning
import Recovery

/// A table recovery to carry out.
public struct TableRecoveryRequest: Sendable {
    /// Where the recovered tables go.
    public enum Destination: Sendable, Equatable {
        /// A pg_dump file; `format` is `custom` or `plain`.
        case file(path: String, format: String)
        /// New tables in the live database: one of this name, or nil for each old name with the time as suffix.
        case tables(named: TableName?)
        /// In place of the tables; the live ones are kept as `…_before_restore`.
        case replacement
        /// Nowhere: only a comparison with the live tables.
        case comparison
        /// The live tables: they get the rows they have lost.
        case missingRows
    }

    /// At least one, all of one database.
    public var tables: [TablePattern]
    public var plan: Plan
    public var destinations: [Destination]
    public var method: FileSelection.Method = .filteredWAL
    /// The parts new tables get beyond columns, constraints, indexes, sequences, statistics, comments, owner and
    /// grants.
    public var parts = SchemaParts()
    /// The programs of the cluster's major version: postgres, pg_dump, pg_restore.
    public var binDirectory: String
    /// Where the scratch cluster is created.
    public var scratchDirectory: String
    /// Directories in which no file may be written; nil for none.
    public var places: ClusterPlaces?
    /// For the live server; the tables' database is filled in.
    public var liveConninfo: String
    /// The live cluster's; its server is found by it where `liveConninfo` doesn't say where it is.
    public var liveDirectory: DataDirectory
    /// System identifiers that the live server may have; nil for any.
    public var liveIdentifiers: Set<UInt64>?
    public var jobs: Int
    /// How long restore and replay may each make no progress, in milliseconds.
    public var patience: Int64 = .max / 2_000_000

    public init(
        tables: [TablePattern], plan: Plan, destinations: [Destination], binDirectory: String,
        scratchDirectory: String, liveConninfo: String, liveDirectory: DataDirectory, jobs: Int
    ) {
        (self.tables, self.plan, self.destinations) = (tables, plan, destinations)
        (self.binDirectory, self.scratchDirectory) = (binDirectory, scratchDirectory)
        (self.liveConninfo, self.liveDirectory, self.jobs) = (liveConninfo, liveDirectory, jobs)
    }

    var database: String { tables[0].database }

    var needsLiveServer: Bool {
        destinations.contains {
            switch $0 {
            case .file: false
            case .tables, .replacement, .comparison, .missingRows: true
            }
        }
    }
}

/// The progress of a table recovery.
public enum TableRecoveryEvent: Sendable {
    /// All checks have passed, and the recovery begins.
    case begun
    case restoring(CopyProgress)
    /// Segments passed to the server, of all, and why replay makes no progress.
    case replaying(done: Int, total: Int, standstill: String?)
    case takingOut(table: String)
    /// A remark, as a sentence.
    case note(String)
}

/// The result of a table recovery.
public struct TableRecoveryReport: Sendable {
    public struct Table: Sendable {
        /// The name it had at the target.
        public var name: TableName
        public var rows: Int64?
        /// Its new name in the live database.
        public var destination: TableName?
        public var difference: TableDifference?
        /// The number of rows inserted into the live table.
        public var inserted: Int64?
    }
    public var tables: [Table] = []
    public var files: [String] = []
    /// Foreign keys, triggers, policies and rules that new tables lack.
    public var leftOut: [String] = []
    public var notes: [String] = []
    /// How often the WAL was replayed.
    public var passes = 0
    /// Bytes read from the repository: the backup's frames, and the WAL.
    public var backupBytes: Int64 = 0
    public var walBytes: Int64 = 0
    /// The largest size of the scratch cluster on disk in bytes, measured twice a second and at the target.
    public var scratchBytes: Int64 = 0
    /// Records of the WAL, and those of them that were not replayed.
    public var records = 0
    public var voidedRecords = 0
    public var restoreSeconds = 0.0
    public var replaySeconds = 0.0
    /// Of those, from the last record until the server is open.
    public var promoteSeconds = 0.0
    public var outputSeconds = 0.0
    /// To stop the server and to remove the scratch cluster.
    public var stopSeconds = 0.0

    /// Whether the live tables differ from the recovered ones; where rows were inserted, whether some are still
    /// missing.
    public var differs: Bool {
        tables.contains { table in
            guard let difference = table.difference else { return false }
            // Only the missing rows were to be inserted.
            if let inserted = table.inserted { return inserted < difference.missing }
            return difference.missing + difference.changed + difference.added > 0
        }
    }
}
