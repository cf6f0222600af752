import Platform
import Postgres

/// Renames the recovered tables in the scratch cluster as they are to be named in the live database: so pg_dump's
/// definitions need no rewriting.
struct ScratchNames {
    /// Tables by their old name, in the catalog's order.
    let tables: [(old: TargetRelation, new: TableName)]
    /// Sequences that belong to the tables' columns, under their new names, with their position.
    let sequences: [(name: TableName, lastValue: String, isCalled: Bool)]
    /// Indexes, sequences and extended statistics under their old and new names, both in the new schema.
    let others: [(kind: String, old: TableName, new: TableName)]

    /// Foreign keys of partitions to their own partitioned table that the copies don't get.
    let lostKeys: [String]

    /// Schema, name and kind of the indexes, owned sequences and extended statistics of the tables whose OIDs are in
    /// `$1`.
    static let attachments = """
        SELECT n.nspname, c.relname, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'INDEX' END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('i', 'I') AND c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[]))
           OR c.relkind = 'S' AND c.oid IN (
              SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                 AND refobjid = ANY ($1::oid[]) AND refobjsubid > 0 AND deptype IN ('a', 'i'))
        UNION ALL
        SELECT n.nspname, s.stxname, 'STATISTICS' FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
        WHERE s.stxrelid = ANY ($1::oid[])
        ORDER BY 3, 1, 2
        """

    /// - Parameter rename: returns the new name of a table, index or sequence.
    init(_ catalog: TargetCatalog, in scratch: Connection, rename: (TableName) -> TableName) throws {
        let list = "{" + catalog.tables.map { String($0.oid) }.joined(separator: ",") + "}"
        let keys = try OwnTableKeys(of: list, scratch)
        try ScratchNames.detach(list, scratch)
        try keys.makeAgain()
        lostKeys = keys.lost
        let owned = try scratch.query(ScratchNames.attachments, [list])
        var taken: Set<TableName> = []
        /// Shortened names may collide: then a number goes in front of the suffix's.
        func unused(_ name: TableName) -> TableName {
            var candidate = name
            var number = 1
            while !taken.insert(candidate).inserted {
                number += 1
                candidate = name.appending("_\(number)")
            }
            return candidate
        }
        var renamed: [(TargetRelation, TableName)] = []
        for table in catalog.tables {
            let new = unused(rename(table.name))
            try ScratchNames.move("TABLE", table.name, to: new, scratch)
            renamed.append((table, new))
        }
        tables = renamed.map { (old: $0.0, new: $0.1) }
        // Indexes and owned sequences follow their table into another schema by themselves; statistics don't.
        let schemas = Dictionary(renamed.map { ($0.0.name.schema, $0.1.schema) }) { first, _ in first }
        var found: [(TableName, String, Bool)] = []
        var others: [(String, TableName, TableName)] = []
        for row in owned.values {
            let old = TableName(schema: row[0] ?? "", name: row[1] ?? "")
            let kind = row[2] ?? ""
            if kind == "STATISTICS" {
                let new = unused(rename(old))
                try ScratchNames.move(kind, old, to: new, scratch)
                others.append((kind, TableName(schema: new.schema, name: old.name), new))
                continue
            }
            let place = TableName(schema: schemas[old.schema] ?? old.schema, name: old.name)
            let new = unused(TableName(schema: place.schema, name: rename(old).name))
            try ScratchNames.move(kind, place, to: new, scratch)
            others.append((kind, place, new))
            guard kind == "SEQUENCE" else { continue }
            let state = try scratch.query("SELECT last_value, is_called FROM \(new.sql)")
            found.append((new, state[0][0] ?? "1", state[0][1] == "t"))
        }
        self.others = others.map { (kind: $0.0, old: $0.1, new: $0.2) }
        sequences = found.map { (name: $0.0, lastValue: $0.1, isCalled: $0.2) }
    }

    /// Detaches tables from parents that are not recovered: the copy must not be attached to the live parent.
    private static func detach(_ list: String, _ scratch: Connection) throws {
        let rows = try scratch.query(
            """
            SELECT pn.nspname, p.relname, cn.nspname, c.relname, p.relkind
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
            JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
            WHERE i.inhrelid = ANY ($1::oid[]) AND NOT i.inhparent = ANY ($1::oid[])
            """, [list])
        for row in rows.values {
            let parent = TableName(schema: row[0] ?? "", name: row[1] ?? "")
            let child = TableName(schema: row[2] ?? "", name: row[3] ?? "")
            if row[4] == "p" { try dropKeys(to: parent, list, scratch) }
            try scratch.execute(
                row[4] == "p"
                    ? "ALTER TABLE \(parent.sql) DETACH PARTITION \(child.sql)"
                    : "ALTER TABLE \(child.sql) NO INHERIT \(parent.sql)")
        }
    }

    /// Drops foreign keys to a partitioned table and those above it, of other tables and of its own: while a row refers
    /// to a partition, it can't be detached.
    private static func dropKeys(to parent: TableName, _ list: String, _ scratch: Connection) throws {
        let keys = try scratch.query(
            """
            SELECT n.nspname, c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT k.conrelid = ANY ($1::oid[])
            AND k.confrelid IN (SELECT relid FROM pg_partition_ancestors($2::regclass))
            """, [list, parent.sql])
        for key in keys.values {
            let table = TableName(schema: key[0] ?? "", name: key[1] ?? "")
            try scratch.execute("ALTER TABLE \(table.sql) DROP CONSTRAINT \(quotedIdentifier(key[2] ?? ""))")
        }
    }

    private static func move(_ kind: String, _ old: TableName, to new: TableName, _ scratch: Connection) throws {
        if old.name != new.name {
            try scratch.execute("ALTER \(kind) \(old.sql) RENAME TO \(quotedIdentifier(new.name))")
        }
        if old.schema != new.schema {
            try scratch.execute("CREATE SCHEMA IF NOT EXISTS \(quotedIdentifier(new.schema))")
            try scratch.execute(
                "ALTER \(kind) \(quotedIdentifier(old.schema)).\(quotedIdentifier(new.name)) "
                    + "SET SCHEMA \(quotedIdentifier(new.schema))")
        }
    }
}
