import DataDirectory
public import Repository
import SQLite

/// The contents of a backup, by size.
public struct BackupContents: Sendable, Equatable {
    public struct Part: Sendable, Equatable {
        public var name: String
        /// Bytes of the files.
        public var size: Int64
        public var files: Int
    }
    /// Largest first; files that belong to no database are `shared` and `other`.
    public var databases: [Part] = []
    /// Tables with their indexes and TOAST, largest first: `database.schema.table`.
    public var tables: [Part] = []
    public var packs: Int
    public var frames: Int
    /// Bytes of zeros, which are not stored.
    public var zeros: Int64
}

/// Reads a backup's manifest and sums up its files.
///
/// - Parameter limit: how many tables to return.
public func backupContents(_ label: String, of archive: ClusterArchive, limit: Int) throws
    -> BackupContents
{
    try ContentsSummary(ManifestReader(label, of: archive)).summary(limit: limit)
}

/// Assigns files to databases and tables. There may be millions of both, so the sums are kept in the manifest's
/// database.
private struct ContentsSummary {
    private let manifest: ManifestReader
    private var database: Database { manifest.database }
    private let findOwner: Statement
    private let addToTable: Statement
    private var names: [UInt32: String] = [:]

    init(_ manifest: ManifestReader) throws {
        self.manifest = manifest
        // Index and TOAST relations, and a TOAST relation's index, count for their table.
        try manifest.database.execute(
            """
            PRAGMA temp_store = FILE;
            CREATE TEMP TABLE owner (database INTEGER, filenode INTEGER, oid INTEGER NOT NULL,
                PRIMARY KEY (database, filenode)) WITHOUT ROWID;
            INSERT OR REPLACE INTO owner
                SELECT r.database, r.filenode, coalesce(main.oid, served.oid, r.oid) FROM relation r
                LEFT JOIN relation served ON served.database = r.database AND served.oid = coalesce(r.index_of, r.oid)
                LEFT JOIN relation main ON main.database = r.database AND main.toast = served.oid
                WHERE r.filenode IS NOT NULL;
            CREATE TEMP TABLE part (database INTEGER, oid INTEGER, size INTEGER NOT NULL, files INTEGER NOT NULL,
                PRIMARY KEY (database, oid)) WITHOUT ROWID;
            """)
        findOwner = try manifest.database.prepare("SELECT oid FROM temp.owner WHERE database = ? AND filenode = ?")
        addToTable = try manifest.database.prepare(
            """
            INSERT INTO temp.part VALUES (?, ?, ?, 1)
            ON CONFLICT DO UPDATE SET size = size + excluded.size, files = files + 1
            """)
        let rows = try manifest.database.prepare("SELECT oid, name FROM database")
        while try rows.step() { names[UInt32(truncatingIfNeeded: rows.integer(0))] = rows.text(1) }
    }

    func summary(limit: Int) throws -> BackupContents {
        var databases: [String: BackupContents.Part] = [:]
        try database.execute("BEGIN")
        try manifest.forEachFile(.regular) { _, file in
            let database = Self.database(of: file.path)
            let name = database.map { $0 == 0 ? "shared" : names[$0] ?? "database \($0)" } ?? "other"
            databases[name, default: .init(name: name, size: 0, files: 0)].size += file.size
            databases[name]!.files += 1
            guard let database, let relation = PageCheck.covers(file.path) else { return }
            try findOwner.bind(1, Int64(database))
            try findOwner.bind(2, Int64(relation.fileNode))
            defer { findOwner.reset() }
            guard try findOwner.step() else { return }
            try addToTable.bind(1, Int64(database))
            try addToTable.bind(2, findOwner.integer(0))
            try addToTable.bind(3, file.size)
            _ = try addToTable.step()
        }
        try database.execute("COMMIT")
        let count = try database.integer("SELECT count(*) FROM frame") ?? 0
        return BackupContents(
            databases: databases.values.sorted { ($1.size, $0.name) < ($0.size, $1.name) }, tables: try tables(limit),
            packs: manifest.packs.count, frames: Int(count), zeros: try manifest.zeros())
    }

    /// The largest tables.
    private func tables(_ limit: Int) throws -> [BackupContents.Part] {
        let rows = try database.prepare(
            """
            SELECT part.database, schema || '.' || name, size, files FROM temp.part JOIN relation USING (database, oid)
            ORDER BY size DESC, coalesce((SELECT name FROM database WHERE oid = part.database), 'shared'), 2 LIMIT ?
            """)
        try rows.bind(1, Int64(limit))
        var tables: [BackupContents.Part] = []
        while try rows.step() {
            let prefix = names[UInt32(truncatingIfNeeded: rows.integer(0))] ?? "shared"
            tables.append(
                .init(name: "\(prefix).\(rows.text(1))", size: rows.integer(2), files: Int(rows.integer(3))))
        }
        return tables
    }

    /// 0 for shared relations; nil for files of no database.
    private static func database(of path: String) -> UInt32? {
        if path.hasPrefix("global/") || path == "global" { return 0 }
        return DatabasePath(path).flatMap { $0.names.isEmpty ? nil : $0.database }
    }
}
