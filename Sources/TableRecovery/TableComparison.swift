import Platform
import Postgres

/// How a table at the target differs from the live one, row by row of the primary key.
public struct TableDifference: Sendable, Equatable {
    /// Rows at the target, and now.
    public var recovered: Int64
    public var live: Int64
    /// At the target, but not now.
    public var missing: Int64
    /// In both, with other contents.
    public var changed: Int64
    /// Not at the target.
    public var added: Int64
    /// Columns that only one of the two has; they were not compared.
    public var uncomparedColumns: [String]
}

/// Compares a recovered table with the live one, within the live server and its transaction: the recovered rows are
/// copied into a temporary table there, which is kept until the transaction's end.
struct TableComparison {
    private let catalog: TargetCatalog
    let root: TargetRelation
    private let scratch: Connection
    private let live: Connection
    /// The live table's OID.
    let oid: String
    /// The live table in a query: inheritance children are tables of their own, perhaps with other columns.
    private let source: String
    /// Whether it is the same table as at the target.
    let identity: TableIdentity
    /// Columns in both tables, generated in neither.
    let common: [TableColumn]
    private let others: [String]
    /// The common columns whose type has changed.
    private let retyped: Set<String>
    private let key: [String]

    /// Locks the live table against ALTER until the end of the transaction.
    /// - Throws: `Problem` when the two can't be compared.
    init(_ catalog: TargetCatalog, _ root: TargetRelation, scratch: Connection, live: Connection) throws {
        (self.catalog, self.root, self.scratch, self.live) = (catalog, root, scratch, live)
        let (oid, kind) = try TableComparison.lock(root.name, live)
        self.oid = oid
        source = (kind == "p" ? "" : "ONLY ") + root.name.sql
        let recovered = try TableColumn.all(of: String(root.oid), in: scratch)
        let present = try TableColumn.all(of: oid, in: live)
        identity = try TableIdentity(root, oid: oid, columns: (recovered, present), scratch: scratch, live: live)
        common = recovered.filter { column in
            column.expression == nil && present.contains { $0.name == column.name && $0.expression == nil }
        }
        let stored = (recovered.filter { $0.expression == nil }, present.filter { $0.expression == nil })
        others = Set(stored.0.map(\.name)).symmetricDifference(stored.1.map(\.name)).sorted()
        let same = common.filter { column in
            present.contains { $0.name == column.name && $0.type == column.type }
        }
        retyped = Set(common.map(\.name)).subtracting(same.map(\.name))
        key = try TableComparison.keyColumns(oid, root, live)
        if let absent = key.first(where: { column in !common.contains { $0.name == column } }) {
            let facts = identity.differences + ["Column \"\(absent)\" of its primary key did not exist at the target."]
            throw Problem(
                "cannot compare table \(root.name.quoted)", detail: facts.joined(separator: " "),
                hint: "Recover it with --into-table and compare by other columns.")
        }
    }

    /// - Returns: the table's OID and `pg_class.relkind`.
    private static func lock(_ table: TableName, _ live: Connection) throws -> (oid: String, kind: String) {
        func find() throws -> [String?]? {
            try live.query("SELECT oid, relkind FROM pg_class WHERE oid = to_regclass($1)", [table.sql]).values.first
        }
        guard let found = try find(), let oid = found[0], let kind = found[1] else {
            throw Problem(
                "table \(table.quoted) does not exist in the live database",
                hint: "There is nothing to compare with; bring it back with --into-table or --replace.")
        }
        guard ["r", "p"].contains(kind) else { return (oid, kind) }
        try live.execute("LOCK TABLE ONLY \(table.sql) IN ACCESS SHARE MODE")
        // The table may have been replaced while this waited.
        guard try find() == found else {
            throw Problem("table \(table.quoted) was exchanged meanwhile", hint: "Try again.")
        }
        return (oid, kind)
    }

    func compare() throws -> TableDifference {
        try load()
        return try difference()
    }

    /// An SQL condition for a query of `temporary` AS r: the live table lacks the row.
    var isMissing: String { "NOT EXISTS (SELECT FROM \(source) l WHERE \(matches("r", "l")))" }

    /// The columns of the primary key; a table that inherits and has none uses its parent's.
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

    /// The temporary table with the recovered rows.
    var temporary: String { "pg_temp.tidemark_recovered_\(root.oid)" }

    private func load() throws {
        // A type may not exist any more; its values are compared as text anyway.
        let definition = try common.map { column in
            let isKnown =
                try !retyped.contains(column.name)
                || live.query("SELECT to_regtype($1) IS NOT NULL", [column.type]).scalar == "t"
            return "\(quotedIdentifier(column.name)) \(isKnown ? column.type : "text")"
        }.joined(separator: ", ")
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
        key.map {
            let cast = retyped.contains($0) ? "::text" : ""
            return "\(left).\(quotedIdentifier($0))\(cast) = \(right).\(quotedIdentifier($0))\(cast)"
        }.joined(separator: " AND ")
    }
}
