import BaseBackup
import WAL

extension RecoveryArchive {
    /// What the plan's last included and first excluded transaction changed: tables by the name the plan's backup knew
    /// them under (`database.schema.table`), as far as the segment of the commit tells.
    ///
    /// A help for people; where something can't be read, it is left out.
    public func touched(by plan: Plan) -> [UInt32: [String]] {
        guard !plan.changedFiles.isEmpty,
            let map = try? RelationMap(of: plan.backup.label, of: incarnation, in: store)
        else { return [:] }
        let databases = Dictionary(map.databases.map { ($0.oid, $0.name) }) { $1 }
        var names: [UInt32: Set<String>] = [:]
        for row in map.relations where ["r", "m", "p", "S"].contains(row.kind) && row.schema != "pg_catalog" {
            for (xid, files) in plan.changedFiles
            where files.contains(where: { $0.number == row.fileNode && $0.database == row.database }) {
                let name = "\(row.schema).\(row.name)"
                names[xid, default: []].insert(databases[row.database].map { "\($0).\(name)" } ?? name)
            }
        }
        return names.mapValues { $0.sorted() }
    }
}
