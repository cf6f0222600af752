import DataDirectory
public import Repository
import SQLite

/// What is in a backup, by size.
public struct BackupContents: Sendable, Equatable {
    public struct Part: Sendable, Equatable {
        public var name: String
        /// Bytes of the files.
        public var size: Int64
        public var files: Int
    }
    /// Largest first; what belongs to no database is `shared` and `other`.
    public var databases: [Part] = []
    /// Tables with their indexes and TOAST, largest first: `database.schema.table`.
    public var tables: [Part] = []
    public var packs: Int
    public var frames: Int
    /// Bytes of zeros that are stored nowhere.
    public var zeros: Int64
}

/// Reads a backup's manifest and sums up its files.
///
/// - Parameter limit: how many tables to return.
public func backupContents(_ label: String, of incarnation: Incarnation, in store: any ObjectStore, limit: Int) throws
    -> BackupContents
{
    let manifest = try ManifestReader(label, of: incarnation, in: store)
    let map = try RelationMap(of: label, of: incarnation, in: store)
    return try ContentsSummary(map).summary(of: manifest, limit: limit)
}

/// Assigns files to databases and tables.
private struct ContentsSummary {
    private let map: RelationMap
    /// Index and TOAST relations lead to the table they serve.
    private var owners: [UInt64: RelationMap.RelationRow] = [:]

    init(_ map: RelationMap) {
        self.map = map
        var byOID: [UInt64: RelationMap.RelationRow] = [:]
        var toastOf: [UInt64: RelationMap.RelationRow] = [:]
        for row in map.relations {
            byOID[Self.key(row.database, row.oid)] = row
            if let toast = row.toast { toastOf[Self.key(row.database, toast)] = row }
        }
        for row in map.relations {
            guard let node = row.fileNode else { continue }
            var owner = row
            if let table = owner.indexOf.flatMap({ byOID[Self.key(row.database, $0)] }) { owner = table }
            if let table = toastOf[Self.key(row.database, owner.oid)] { owner = table }
            owners[Self.key(row.database, node)] = owner
        }
    }

    private static func key(_ database: UInt32, _ number: UInt32) -> UInt64 { UInt64(database) << 32 | UInt64(number) }

    func summary(of manifest: ManifestReader, limit: Int) throws -> BackupContents {
        let names = Dictionary(map.databases.map { ($0.oid, $0.name) }) { $1 }
        var databases: [String: BackupContents.Part] = [:]
        var tables: [UInt64: BackupContents.Part] = [:]
        func add(_ file: ManifestFile, to part: inout BackupContents.Part) {
            part.size += file.size
            part.files += 1
        }
        for case let file? in try manifest.files() where file.kind == .regular {
            let database = Self.database(of: file.path)
            let name = database.map { $0 == 0 ? "shared" : names[$0] ?? "database \($0)" } ?? "other"
            add(file, to: &databases[name, default: .init(name: name, size: 0, files: 0)])
            guard let database, let relation = PageCheck.covers(file.path),
                let owner = owners[Self.key(database, relation.fileNode)]
            else { continue }
            let key = Self.key(database, owner.oid)
            let table = "\(names[database] ?? "shared").\(owner.schema).\(owner.name)"
            add(file, to: &tables[key, default: .init(name: table, size: 0, files: 0)])
        }
        func sorted(_ parts: some Sequence<BackupContents.Part>) -> [BackupContents.Part] {
            parts.sorted { ($1.size, $0.name) < ($0.size, $1.name) }
        }
        let count = try manifest.database.integer("SELECT count(*) FROM frame") ?? 0
        let zeros = try manifest.database.integer("SELECT sum(length) FROM run WHERE frame = 0") ?? 0
        return BackupContents(
            databases: sorted(databases.values), tables: Array(sorted(tables.values).prefix(limit)),
            packs: manifest.packs.count, frames: Int(count), zeros: zeros)
    }

    /// 0 for shared relations; nil for files of no database.
    private static func database(of path: String) -> UInt32? {
        let parts = path.split(separator: "/")
        switch parts.first {
        case "global": return 0
        case "base": return parts.count > 2 ? UInt32(parts[1]) : nil
        case "pg_tblspc": return parts.count > 4 ? UInt32(parts[3]) : nil
        default: return nil
        }
    }
}
