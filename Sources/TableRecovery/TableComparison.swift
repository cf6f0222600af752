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

    /// Puts the missing rows back, and nothing else; after `compare`.
    /// - Returns: how many.
    func insertMissing() throws -> Int64 {
        let list = common.map { quotedIdentifier($0.name) }.joined(separator: ", ")
        let rows = try live.query(
            """
            WITH put AS (
                INSERT INTO \(root.name.sql) (\(list)) OVERRIDING SYSTEM VALUE
                SELECT \(list) FROM \(temporary) r
                WHERE NOT EXISTS (SELECT FROM \(root.name.sql) l WHERE \(matches("r", "l")))
                ON CONFLICT DO NOTHING RETURNING 1)
            SELECT count(*) FROM put
            """)
        return rows.scalar.flatMap { Int64($0) } ?? 0
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

    private static func keyColumns(_ oid: String, _ root: TargetRelation, _ live: Connection) throws -> [String] {
        let rows = try live.query(
            """
            SELECT a.attname FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
            WHERE i.indrelid = $1::oid AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place
            """, [oid])
        let names = rows.values.compactMap { $0[0] }
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

    /// The table and its partitions, or children.
    private func family() -> [TargetRelation] {
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
            FULL JOIN (SELECT true AS here, \(list) FROM \(root.name.sql)) l ON \(matches("r", "l"))
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
