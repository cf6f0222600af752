public import Backups
public import Planning
import Platform
import WAL

extension Plan {
    /// Whether those transactions changed it.
    public func changes(_ relation: RelationMap.RelationRow) -> Bool {
        ["r", "m", "p", "S"].contains(relation.kind) && relation.schema != "pg_catalog"
            && changedFiles.values.contains { $0.contains { relation.isIn($0) } }
    }

    /// The tables that the last included and the first excluded transaction changed, by their names in the plan's
    /// backup (`database.schema.table`), as far as the segment of the commit shows.
    ///
    /// - Parameter map: with at least the relations that `changes` names.
    public func changedTables(_ map: RelationMap) -> [UInt32: [String]] {
        let databases = Dictionary(map.databases.map { ($0.oid, $0.name) }) { $1 }
        var names: [UInt32: Set<String>] = [:]
        for row in map.relations where changes(row) {
            for (xid, files) in changedFiles where files.contains(where: { row.isIn($0) }) {
                let name = plainIdentifier(row.schema) + "." + plainIdentifier(row.name)
                names[xid, default: []].insert(databases[row.database].map { plainIdentifier($0) + "." + name } ?? name)
            }
        }
        return names.mapValues { $0.sorted() }
    }
}

extension RelationMap.RelationRow {
    fileprivate func isIn(_ file: RelationFile) -> Bool { file.number == fileNode && file.database == database }
}
