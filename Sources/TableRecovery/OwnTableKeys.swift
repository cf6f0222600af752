import Platform
import Postgres

/// The foreign keys by which partitions that are recovered alone refer to their own partitioned table, which isn't
/// recovered: they are dropped before the partition can be detached, and made again after that.
///
/// The rows that a partition's rows refer to may be lost, or in the partition itself. So the key isn't validated: it
/// holds for new rows, and its owner decides when it is to hold for all.
struct OwnTableKeys {
    private struct Key {
        let table: TableName
        let name, definition: String
        let isPartitioned: Bool
    }
    private let keys: [Key]
    private let scratch: Connection

    /// - Parameter list: the OIDs of the recovered tables, as an array.
    init(of list: String, _ scratch: Connection) throws {
        self.scratch = scratch
        keys = try scratch.query(
            """
            WITH RECURSIVE family AS (
                SELECT oid, oid AS root FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
                UNION ALL SELECT c.oid, f.root FROM pg_constraint c JOIN family f ON c.conparentid = f.oid)
            SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid), c.relkind = 'p'
            FROM family f JOIN pg_constraint k ON k.oid = f.oid JOIN pg_constraint r ON r.oid = f.root
            JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_inherits i ON i.inhrelid = k.conrelid
            WHERE k.conrelid = ANY ($1::oid[]) AND NOT i.inhparent = ANY ($1::oid[]) AND NOT r.conrelid = ANY ($1::oid[])
            AND k.confrelid = r.confrelid AND r.confrelid IN (SELECT relid FROM pg_partition_ancestors(i.inhparent))
            ORDER BY k.oid
            """, [list]
        ).values.map { row in
            Key(
                table: TableName(schema: row[0] ?? "", name: row[1] ?? ""), name: row[2] ?? "",
                definition: row[3] ?? "", isPartitioned: row[4] == "t")
        }
    }

    /// Those of partitions that are partitioned themselves: PostgreSQL validates their keys at once.
    var lost: [String] {
        keys.filter(\.isPartitioned).map {
            "foreign key \($0.name) of \($0.table.quoted), to its own partitioned table"
        }
    }

    func makeAgain() throws {
        for key in keys where !key.isPartitioned {
            let definition = key.definition.hasSuffix(" NOT VALID") ? key.definition : key.definition + " NOT VALID"
            try scratch.execute(
                "ALTER TABLE \(key.table.sql) ADD CONSTRAINT \(quotedIdentifier(key.name)) \(definition)")
        }
    }
}
