public import BaseBackup
import WAL

extension Plan {
    /// What the last included and the first excluded transaction changed: tables by the name the plan's backup knew them
    /// under (`database.schema.table`), as far as the segment of the commit tells.
    public func changedTables(_ map: RelationMap) -> [UInt32: [String]] {
        let databases = Dictionary(map.databases.map { ($0.oid, $0.name) }) { $1 }
        var names: [UInt32: Set<String>] = [:]
        for row in map.relations where ["r", "m", "p", "S"].contains(row.kind) && row.schema != "pg_catalog" {
            for (xid, files) in changedFiles
            where files.contains(where: { $0.number == row.fileNode && $0.database == row.database }) {
                let name = "\(row.schema).\(row.name)"
                names[xid, default: []].insert(databases[row.database].map { "\($0).\(name)" } ?? name)
            }
        }
        return names.mapValues { $0.sorted() }
    }
}
