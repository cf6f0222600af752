import Platform
import Postgres

/// How a table at the target and the live one differ, row by row of the primary key.
public struct TableDifference: Sendable, Equatable {
    /// Rows at the target, and now.
    public var recovered: Int64
    public var live: Int64
    /// At the target, but not any more.
    public var missing: Int64
    /// In both, with other contents.
    public var changed: Int64
    /// Not at the target.
    public var added: Int64
    /// Columns that only one of the two has; they were not compared.
    public var uncomparedColumns: [String]
}

/// Compares a recovered table with the live one, within the live server and its transaction: the recovered rows are streamed
/// into a temporary table there, which stays to the transaction's end.
struct TableComparison {
    private let catalog: TargetCatalog
    let root: TargetRelation
    private let scratch: Connection
    private let live: Connection
    /// The live table's number.
    let oid: String
    /// What to read of the live table: children of inheritance are tables of their own, with other columns perhaps.
    private let source: String
    private let common: [Column]
    private let others: [String]
    private let key: [String]

    /// - Throws: `Problem` when the two can't be compared.
    init(_ catalog: TargetCatalog, _ root: TargetRelation, scratch: Connection, live: Connection) throws {
        (self.catalog, self.root, self.scratch, self.live) = (catalog, root, scratch, live)
        guard let oid = try live.query("SELECT to_regclass($1)::oid", [root.name.sql]).scalar else {
            throw Problem(
                "table \(root.name.quoted) does not exist in the live database",
                hint: "There is nothing to compare with; bring it back with --into-table or --replace.")
        }
        self.oid = oid
        source = (root.isPartitioned ? "" : "ONLY ") + root.name.sql
        let recovered = try TableComparison.columns(of: String(root.oid), in: scratch)
        let present = try TableComparison.columns(of: oid, in: live)
        let common = recovered.filter { column in present.contains { $0.name == column.name } }
        self.common = common
        others = Set(recovered.map(\.name)).symmetricDifference(present.map(\.name)).sorted()
        key = try TableComparison.keyColumns(oid, root, live)
        if let absent = key.first(where: { column in !common.contains { $0.name == column } }) {
            throw Problem(
                "cannot compare table \(root.name.quoted)",
                detail: "Column \"\(absent)\" of its primary key did not exist at the target.")
        }
    }

    func compare() throws -> TableDifference {
        try load()
        return try difference()
    }

    /// Puts the missing rows of all of them back, and nothing else; after `compare`. In one statement, at whose end foreign keys
    /// are checked: whatever order the tables are in, and if they refer to one another.
    /// - Returns: how many, in the comparisons' order.
    static func insertMissing(_ comparisons: [TableComparison], _ live: Connection) throws -> [Int64] {
        guard !comparisons.isEmpty else { return [] }
        let parts = comparisons.enumerated().map { "put\($0) AS (\($1.insertion))" }.joined(separator: ", ")
        let counts = comparisons.indices.map { "(SELECT count(*) FROM put\($0))" }.joined(separator: ", ")
        let rows = try live.query("WITH \(parts) SELECT \(counts)")
        return rows[0].map { $0.flatMap { Int64($0) } ?? 0 }
    }

    private var insertion: String {
        let list = common.map { quotedIdentifier($0.name) }.joined(separator: ", ")
        return """
            INSERT INTO \(root.name.sql) (\(list)) OVERRIDING SYSTEM VALUE
            SELECT \(list) FROM \(temporary) r
            WHERE NOT EXISTS (SELECT FROM \(source) l WHERE \(matches("r", "l")))
            ON CONFLICT DO NOTHING RETURNING 1
            """
    }

    private struct Column {
        let name: String
        let type: String
    }

    private static func columns(of oid: String, in connection: Connection) throws -> [Column] {
        let rows = try connection.query(
            """
            SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
            WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
            """, [oid])
        return rows.values.map { Column(name: $0[0] ?? "", type: $0[1] ?? "") }
    }

    /// The primary key's; one that inherits and has none of its own is told by its parent's.
    private static func keyColumns(_ oid: String, _ root: TargetRelation, _ live: Connection) throws -> [String] {
        let rows = try live.query(
            """
            WITH RECURSIVE line (oid, distance) AS (
                SELECT $1::oid, 0
                UNION SELECT h.inhparent, distance + 1 FROM line JOIN pg_inherits h ON h.inhrelid = line.oid)
            SELECT i.indexrelid, a.attname FROM line JOIN pg_index i ON i.indrelid = line.oid AND i.indisprimary
            CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
            WHERE k.place <= i.indnkeyatts ORDER BY distance, i.indexrelid, k.place
            """, [oid])
        let names = rows.values.filter { $0[0] == rows.scalar }.compactMap { $0[1] }
        guard !names.isEmpty else {
            throw Problem(
                "cannot compare table \(root.name.quoted): it has no primary key",
                hint: "Recover it with --into-table and compare by other columns.")
        }
        return names
    }

    private var temporary: String { "pg_temp.tidemark_recovered_\(root.oid)" }

    private func load() throws {
        let definition = common.map { "\(quotedIdentifier($0.name)) \($0.type)" }.joined(separator: ", ")
        try live.execute("CREATE TEMPORARY TABLE tidemark_recovered_\(root.oid) (\(definition)) ON COMMIT DROP")
        let list = common.map { quotedIdentifier($0.name) }.joined(separator: ", ")
        for table in family() where !table.isPartitioned {
            let into = "COPY \(temporary) (\(list)) FROM STDIN"
            var sent: Int64 = 0
            let taken = try live.copyIn(into) { append in
                sent = try scratch.copyOut("COPY \(table.name.sql) (\(list)) TO STDOUT") { try append($0) }
            }
            guard sent == taken else { throw Problem("the copy of table \(table.name.quoted) is not complete") }
        }
        try live.execute("ANALYZE \(temporary)")
    }

    /// The table and its partitions.
    private func family() -> [TargetRelation] {
        guard root.isPartitioned else { return [root] }
        var oids: Set<UInt32> = [root.oid]
        var members: [TargetRelation] = []
        for table in catalog.tables where table.oid == root.oid || table.parent.map(oids.contains) == true {
            oids.insert(table.oid)
            members.append(table)
        }
        return members
    }

    private func difference() throws -> TableDifference {
        let columns = common.map(\.name)
        let compared = columns.filter { !key.contains($0) }
        let differs =
            compared.isEmpty
            ? "false"
            : compared.map {
                "r.\(quotedIdentifier($0))::text IS DISTINCT FROM l.\(quotedIdentifier($0))::text"
            }.joined(separator: " OR ")
        let list = columns.map(quotedIdentifier).joined(separator: ", ")
        let row = try live.query(
            """
            SELECT count(r.here), count(l.here), count(*) FILTER (WHERE l.here IS NULL),
                   count(*) FILTER (WHERE r.here AND l.here AND (\(differs))), count(*) FILTER (WHERE r.here IS NULL)
            FROM (SELECT true AS here, \(list) FROM \(temporary)) r
            FULL JOIN (SELECT true AS here, \(list) FROM \(source)) l ON \(matches("r", "l"))
            """)
        let counts = row[0].map { Int64($0 ?? "") ?? 0 }
        return TableDifference(
            recovered: counts[0], live: counts[1], missing: counts[2], changed: counts[3], added: counts[4],
            uncomparedColumns: others)
    }

    private func matches(_ left: String, _ right: String) -> String {
        key.map { "\(left).\(quotedIdentifier($0)) = \(right).\(quotedIdentifier($0))" }.joined(separator: " AND ")
    }
}
