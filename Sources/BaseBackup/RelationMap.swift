import DataDirectory
import Postgres

/// Names of databases and relations and where their files are, so that they can be found when the server is gone.
struct RelationMap: Sendable {
    struct DatabaseRow: Sendable {
        var oid: UInt32
        var name: String
        var tablespace: UInt32
        var isConnectable: Bool
    }
    struct RelationRow: Sendable {
        /// 0: shared by all databases.
        var database: UInt32
        var oid: UInt32
        /// Nil when it has no file, as a view.
        var fileNode: UInt32?
        /// 0: the database's own.
        var tablespace: UInt32
        var schema: String
        var name: String
        /// `pg_class.relkind`.
        var kind: String
        /// `pg_class.relpersistence`.
        var persistence: String
        var toast: UInt32?
        var indexOf: UInt32?
        var partitionOf: UInt32?
    }
    var databases: [DatabaseRow] = []
    var relations: [RelationRow] = []
    /// Databases that could not be read, with the reason.
    var warnings: [String] = []

    private static let query = """
        SELECT c.oid, nullif(pg_relation_filenode(c.oid), 0), c.reltablespace, n.nspname, c.relname, c.relkind,
               c.relpersistence, nullif(c.reltoastrelid, 0), i.indrelid, h.inhparent, c.relisshared
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_index i ON i.indexrelid = c.oid
        LEFT JOIN pg_inherits h ON h.inhrelid = c.oid AND c.relispartition
        WHERE c.relpersistence <> 't'
        """

    /// Connects to every database that allows it. One that can't be read costs its names, not the backup.
    init(reading server: Connection, conninfo: String) throws {
        let rows = try server.query(
            "SELECT oid, datname, dattablespace, datallowconn FROM pg_database ORDER BY oid")
        for row in rows.values {
            guard let oid = row[0].flatMap({ UInt32($0) }), let name = row[1] else { continue }
            databases.append(
                DatabaseRow(
                    oid: oid, name: name, tablespace: row[2].flatMap { UInt32($0) } ?? 0, isConnectable: row[3] == "t"))
        }
        var haveShared = false
        for database in databases where database.isConnectable {
            do {
                let session = try Connection(conninfo, database: database.name)
                for row in try session.query(RelationMap.query).values {
                    let isShared = row[10] == "t"
                    if isShared && haveShared { continue }
                    guard let oid = row[0].flatMap({ UInt32($0) }) else { continue }
                    relations.append(
                        RelationRow(
                            database: isShared ? 0 : database.oid, oid: oid, fileNode: row[1].flatMap { UInt32($0) },
                            tablespace: row[2].flatMap { UInt32($0) } ?? 0, schema: row[3] ?? "", name: row[4] ?? "",
                            kind: row[5] ?? "", persistence: row[6] ?? "", toast: row[7].flatMap { UInt32($0) },
                            indexOf: row[8].flatMap { UInt32($0) }, partitionOf: row[9].flatMap { UInt32($0) }))
                }
                haveShared = true
            } catch {
                warnings.append("the relations of database \"\(database.name)\" are not in the manifest: \(error)")
            }
        }
    }

    /// `database.schema.relation` of a file; nil when the map doesn't know it.
    func relationName(of path: String) -> String? {
        guard let name = PageCheck.covers(path) else { return nil }
        let parts = path.split(separator: "/")
        let database: UInt32?
        switch parts.first {
        case "global": database = 0
        case "base": database = parts.count > 1 ? UInt32(parts[1]) : nil
        default: database = parts.count > 3 ? UInt32(parts[3]) : nil
        }
        guard let database,
            let relation = relations.first(where: { $0.database == database && $0.fileNode == name.fileNode })
        else { return nil }
        let prefix = databases.first { $0.oid == database }.map { $0.name + "." } ?? ""
        return "\(prefix)\(relation.schema).\(relation.name)"
    }
}
