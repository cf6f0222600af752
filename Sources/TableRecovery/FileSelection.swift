public import Backups
import DataDirectory
public import Restoring

/// Which files of a backup a scratch cluster needs for some tables of one database, and how the others are restored.
///
/// Only files known not to be needed are omitted: a relation that isn't in the map (created or rewritten while the
/// backup ran) is restored. File numbers say nothing about a relation: after VACUUM FULL, catalogs have file numbers in
/// the range of user tables.
public struct FileSelection: Sendable {
    /// How replay handles missing relations.
    public enum Method: Sendable {
        /// Omitted files are holes of their original size; replay runs with ignore_invalid_pages.
        case holes
        /// The WAL is filtered: it doesn't refer to omitted files, and they don't exist.
        case filteredWAL
    }

    public let method: Method
    /// Nil when the backup doesn't have the database: then nothing is omitted.
    public let database: UInt32?
    /// File numbers of that database's omitted files. The tablespace doesn't matter: files move between tablespaces.
    public let leftOut: Set<UInt32>

    /// File numbers of that database that are known to be needed.
    let kept: Set<UInt32>

    /// Everything is restored.
    public static let everything = FileSelection(method: .holes, database: nil, leftOut: [])

    init(method: Method, database: UInt32?, leftOut: Set<UInt32>, kept: Set<UInt32> = []) {
        (self.method, self.database, self.leftOut, self.kept) = (method, database, leftOut, kept)
    }

    /// - Parameters:
    ///   - tables: the wanted tables; partitions and TOAST tables are included.
    ///   - keeping: file numbers that an earlier pass found to be needed.
    public init(
        of tables: [TablePattern], in database: String, map: RelationMap, method: Method, keeping: Set<UInt32> = []
    ) {
        guard let row = map.databases.first(where: { $0.name == database }) else {
            self = .everything
            return
        }
        let relations = map.relations.filter { $0.database == row.oid }
        guard !relations.isEmpty else {
            // Its catalogs couldn't be read when the backup was taken: it is restored completely, and other databases
            // aren't.
            self.init(method: method, database: row.oid, leftOut: [])
            return
        }
        let wanted = FileSelection.wanted(by: tables, of: relations)
        let leftOut = Set(
            relations.lazy.filter { relation in
                !wanted.contains(relation.oid) && FileSelection.mayBeLeftOut(relation, method)
            }.compactMap(\.fileNode)
        ).subtracting(keeping)
        let kept = Set(relations.compactMap(\.fileNode)).subtracting(leftOut).union(keeping)
        self.init(method: method, database: row.oid, leftOut: leftOut, kept: kept)
    }

    /// OIDs of the matching tables and of the relations that belong to them.
    static func wanted(by patterns: [TablePattern], of relations: [RelationMap.RelationRow]) -> Set<UInt32> {
        let children = Dictionary(grouping: relations.filter { $0.partitionOf != nil }) { $0.partitionOf ?? 0 }
        let indexes = Dictionary(grouping: relations.filter { $0.indexOf != nil }) { $0.indexOf ?? 0 }
        let byOID = Dictionary(relations.map { ($0.oid, $0) }) { first, _ in first }
        var wanted: Set<UInt32> = []
        var waiting = relations.filter { relation in
            patterns.contains {
                mayBeMeant(relation.kind, by: $0) && $0.matches(schema: relation.schema, table: relation.name)
            }
        }.map(\.oid)
        while let oid = waiting.popLast() {
            guard wanted.insert(oid).inserted, let relation = byOID[oid] else { continue }
            waiting += children[oid, default: []].map(\.oid)
            if let toast = relation.toast {
                waiting.append(toast)
                wanted.formUnion(indexes[toast, default: []].map(\.oid))
            }
        }
        return wanted
    }

    /// Tables and partitioned tables.
    static let tableKinds: Set<String> = ["r", "p"]

    /// Materialized views can be refreshed: a pattern doesn't match them, only an exact name.
    static func mayBeMeant(_ kind: String, by pattern: TablePattern) -> Bool {
        tableKinds.contains(kind) || kind == "m" && pattern.isExact
    }

    private static func mayBeLeftOut(_ relation: RelationMap.RelationRow, _ method: Method) -> Bool {
        // pg_largeobject and its index are catalogs, but contain user data.
        if [CatalogOID.largeObject, CatalogOID.largeObjectIndex].contains(relation.oid) { return true }
        if relation.oid < CatalogOID.firstNormal || ["pg_catalog", "information_schema"].contains(relation.schema) {
            return false
        }
        // pg_dump 18 reads every sequence of the database; each has 8 kB.
        if relation.kind == "S" { return false }
        // Redo of an insert into a BRIN index whose page is missing crashes PostgreSQL 16 and later.
        if method == .holes && relation.accessMethod == "brin" { return false }
        return true
    }

    /// A hole saves disk space: when replay touches a block of a missing file, it creates all blocks before it. For a
    /// small file a hole takes longer than that.
    private static let smallest: Int64 = 1 << 20

    /// How a file of the backup is restored, by its path in the data directory.
    ///
    /// - Parameter size: in bytes; ignored for a directory.
    public func treatment(of path: String, size: Int64) -> RestoreTreatment {
        let stand: RestoreTreatment = size < FileSelection.smallest ? .absent : .hole
        guard let database, let place = DatabasePath(path) else { return .whole }
        guard let name = place.names.first else {
            return place.database == database || method == .holes ? .whole : .absent
        }
        if place.database != database {
            if method == .filteredWAL { return .absent }
            // Without PG_VERSION a connection to it by mistake fails with an error instead of crashing the server.
            if name == "PG_VERSION" { return .absent }
            return RelationFileName(name) == nil ? .whole : stand
        }
        guard let relation = RelationFileName(name), leftOut.contains(relation.fileNode) else { return .whole }
        return method == .holes ? stand : .absent
    }
}
