import Platform
import Postgres

/// Inserts the rows that live tables have lost.
struct MissingRows {
    private let comparisons: [TableComparison]
    private let live: Connection

    /// - Parameter comparisons: the finished ones.
    init(_ comparisons: [TableComparison], _ live: Connection) { (self.comparisons, self.live) = (comparisons, live) }

    /// Inserts the rows of all tables in one statement, at whose end foreign keys are checked: so the order of the
    /// tables doesn't matter, nor whether they refer to one another.
    /// - Returns: the number of rows per table, in the comparisons' order.
    func insert() throws -> [Int64] {
        guard !comparisons.isEmpty else { return [] }
        let parts = try comparisons.enumerated().flatMap { number, comparison in
            let list = comparison.common.map { quotedIdentifier($0.name) }.joined(separator: ", ")
            let into = "INSERT INTO \(comparison.root.name.sql) (\(list)) OVERRIDING SYSTEM VALUE SELECT \(list)"
            let rules = try UniqueRules(of: comparison.oid, live)
            guard rules.isAnyDeferrable else {
                let rows = "\(comparison.temporary) r WHERE \(comparison.isMissing)"
                return ["put\(number) AS (\(into) FROM \(rows) ON CONFLICT DO NOTHING RETURNING 1)"]
            }
            let found = "found\(number)"
            return [
                "\(found) AS MATERIALIZED (\(try rules.candidates(comparison, live)))",
                "put\(number) AS (\(into) FROM \(found) r WHERE \(rules.obeyed(among: found)) RETURNING 1)",
            ]
        }.joined(separator: ", ")
        let counts = comparisons.indices.map { "(SELECT count(*) FROM put\($0))" }.joined(separator: ", ")
        let rows = try live.query("WITH \(parts) SELECT \(counts)")
        return rows[0].map { $0.flatMap { Int64($0) } ?? 0 }
    }
}

/// What must be unique in a live table, or exclude one another: its unique indexes and exclusion constraints.
///
/// `ON CONFLICT DO NOTHING` skips rows that violate one, unless one of the constraints is deferrable: PostgreSQL
/// rejects it then, and such rows are searched for. A row that another session inserts at the same time makes the
/// statement fail.
private struct UniqueRules {
    private struct Rule {
        /// The relation with its index: the table or a partition of it.
        let source: String
        /// The predicate of a partial index; nil for all rows.
        let condition: String?
        let isUnique: Bool
        let areNullsEqual: Bool
        /// Columns and expressions, each with the operator that compares two of them.
        var elements: [(value: String, comparison: String)] = []
    }
    private var rules: [Rule] = []
    private(set) var isAnyDeferrable = false

    /// - Parameter oid: the table's OID.
    init(of oid: String, _ live: Connection) throws {
        // PostgreSQL 14 doesn't have indnullsnotdistinct. An index of a partition counts by itself unless it belongs to
        // an index of its parent.
        let rows = try live.query(
            """
            SELECT i.indexrelid, CASE t.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || quote_ident(n.nspname) || '.' || quote_ident(t.relname),
                   pg_get_expr(i.indpred, i.indrelid),
                   CASE WHEN t.oid <> $1::oid THEN pg_get_partition_constraintdef(t.oid) END,
                   i.indisunique, i.indimmediate, coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
                   pg_get_indexdef(i.indexrelid, k.place::int, true),
                   'OPERATOR(' || quote_ident(s.nspname) || '.' || p.oprname || ')'
            FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
            JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
            LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x')
            CROSS JOIN LATERAL unnest(i.indclass) WITH ORDINALITY AS k (class, place)
            JOIN pg_opclass o ON o.oid = k.class
            LEFT JOIN pg_amop a ON a.amopfamily = o.opcfamily AND a.amoplefttype = o.opcintype
                AND a.amoprighttype = o.opcintype AND a.amopstrategy = 3 AND c.conexclop IS NULL
            LEFT JOIN pg_operator p ON p.oid = coalesce(c.conexclop[k.place], a.amopopr)
            LEFT JOIN pg_namespace s ON s.oid = p.oprnamespace
            WHERE (i.indrelid = $1::oid OR i.indrelid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
            AND NOT x.relispartition AND i.indislive AND (i.indisunique OR i.indisexclusion)
            ORDER BY i.indexrelid, k.place
            """, [oid])
        var last: String?
        for row in rows.values {
            if row[0] != last {
                let conditions = [row[2], row[3]].compactMap(\.self).map { "(\($0))" }
                rules.append(
                    Rule(
                        source: row[1] ?? "",
                        condition: conditions.isEmpty ? nil : conditions.joined(separator: " AND "),
                        isUnique: row[4] == "t", areNullsEqual: row[6] == "t"))
                if row[5] == "f" { isAnyDeferrable = true }
                last = row[0]
            }
            rules[rules.count - 1].elements.append((row[7] ?? "NULL", row[8] ?? "="))
        }
    }

    /// Selects the missing rows with the values that the rules compare. Columns added since are taken for NULL, which
    /// equals nothing; generated ones are computed as the table would.
    func candidates(_ comparison: TableComparison, _ live: Connection) throws -> String {
        let common = comparison.common.map { quotedIdentifier($0.name) }
        let present = try TableColumn.all(of: comparison.oid, in: live)
        let added = present.filter { column in
            column.expression == nil && !comparison.common.contains { $0.name == column.name }
        }.map { "NULL::\($0.type) AS \(quotedIdentifier($0.name))" }
        let generated = present.compactMap { column in
            column.expression.map { "(\($0)) AS \(quotedIdentifier(column.name))" }
        }
        let values = rules.enumerated().flatMap { number, rule in
            ["(\(rule.condition ?? "true")) IS TRUE AS tidemark_\(number)"]
                + rule.elements.enumerated().map { "(\($1.value)) AS tidemark_\(number)_\($0)" }
        }
        let stored = (["ctid AS tidemark_row"] + common + added).joined(separator: ", ")
        return """
            SELECT \((["tidemark_row"] + common + values).joined(separator: ", ")) FROM (
                SELECT \((["*"] + generated).joined(separator: ", ")) FROM (
                    SELECT \(stored) FROM \(comparison.temporary) r WHERE \(comparison.isMissing)) stored) computed
            """
    }

    /// An SQL condition on candidate r: it violates no rule against the live rows and the candidates before it.
    func obeyed(among candidates: String) -> String {
        rules.enumerated().flatMap { number, rule in
            func equals(_ prefix: String) -> String {
                rule.elements.enumerated().map { place, element in
                    let (one, other) = ("\(prefix)_\(place)", "r.tidemark_\(number)_\(place)")
                    let equal = "\(one) \(element.comparison) \(other)"
                    return rule.areNullsEqual ? "(\(equal) OR \(one) IS NULL AND \(other) IS NULL)" : equal
                }.joined(separator: " AND ")
            }
            let values = rule.elements.enumerated().map { "(\($1.value)) AS value_\($0)" }.joined(separator: ", ")
            let present = "(SELECT \(values) FROM \(rule.source) WHERE \(rule.condition ?? "true")) l"
            let clash = "NOT EXISTS (SELECT FROM \(present) WHERE r.tidemark_\(number) AND \(equals("l.value")))"
            // Only a constraint added since can be violated among the candidates; without an index, an exclusion
            // constraint would compare each of them with every other, so it is left to the insertion.
            guard rule.isUnique else { return [clash] }
            let earlier =
                "s.tidemark_\(number) AND s.tidemark_row < r.tidemark_row AND \(equals("s.tidemark_\(number)"))"
            return [
                clash, "NOT EXISTS (SELECT FROM \(candidates) s WHERE r.tidemark_\(number) AND \(earlier))",
            ]
        }.joined(separator: " AND ")
    }
}
