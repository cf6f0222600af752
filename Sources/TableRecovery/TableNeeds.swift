public import Platform
import Postgres

/// Objects to which the definitions of tables refer and that aren't part of them: types, functions, collations, others'
/// sequences, operator classes; and for triggers, rules, policies and foreign keys also tables and views.
struct TableNeeds {
    private struct Need {
        /// The result of `pg_identify_object_as_address`.
        let address: [String?]
        /// For messages.
        let name: String
    }
    private let needs: [Need]
    /// The roles that policies name.
    private let roles: [String]

    /// - Parameter oids: of the tables, as an array constant.
    init(_ oids: String, _ parts: SchemaParts, _ scratch: Connection) throws {
        let rows = try scratch.query(
            """
            WITH part (classid, objid) AS (
                SELECT 'pg_class'::regclass, unnest($1::oid[])
                UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[])
                UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = ANY ($1::oid[])
                UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
                    WHERE conrelid = ANY ($1::oid[]) AND (contype <> 'f' OR $2::bool)
                UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger
                    WHERE tgrelid = ANY ($1::oid[]) AND NOT tgisinternal AND $3::bool
                UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid = ANY ($1::oid[]) AND $3::bool
                UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class = ANY ($1::oid[]) AND $3::bool)
            SELECT DISTINCT i.type, i.object_names, i.object_args, pg_describe_object(d.refclassid, d.refobjid, 0)
            FROM pg_depend d JOIN part p USING (classid, objid),
                LATERAL pg_identify_object_as_address(d.refclassid, d.refobjid, 0) i
            WHERE d.deptype = 'n' AND d.refclassid IN (
                    'pg_type'::regclass, 'pg_proc'::regclass, 'pg_class'::regclass, 'pg_collation'::regclass,
                    'pg_am'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass, 'pg_operator'::regclass,
                    'pg_ts_config'::regclass, 'pg_ts_dict'::regclass)
              AND NOT (d.refclassid = 'pg_class'::regclass AND (d.refobjid = ANY ($1::oid[])
                 OR d.refobjid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[])) OR d.refobjid IN (
                    SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass
                       AND refclassid = 'pg_class'::regclass AND refobjid = ANY ($1::oid[]) AND deptype IN ('a', 'i'))))
              AND NOT (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
                    SELECT reltype FROM pg_class WHERE oid = ANY ($1::oid[])))
            ORDER BY 4
            """, [oids, "\(parts.foreignKeys)", "\(parts.triggers)"])
        needs = rows.values.map { Need(address: Array($0[..<3]), name: $0[3] ?? "") }
        roles =
            parts.triggers
            ? try scratch.query(
                """
                SELECT DISTINCT r.rolname FROM pg_policy p, pg_roles r
                WHERE p.polrelid = ANY ($1::oid[]) AND r.oid = ANY (p.polroles) ORDER BY 1
                """, [oids]
            ).values.compactMap { $0[0] } : []
    }

    /// Reports everything that `live` lacks at once; within a transaction.
    /// - Throws: `MissingObjects`.
    func check(_ live: Connection) throws {
        var missing: [String] = []
        for need in needs {
            try live.execute("SAVEPOINT tidemark_need")
            do throws(QueryFailure) {
                try live.query("SELECT pg_get_object_address($1, $2::text[], $3::text[])", need.address)
            } catch {
                // The error depends on the kind of object: undefined object, function, table, schema, or an internal
                // error.
                guard live.isAlive else { throw error }
                missing.append(need.name)
            }
            try live.execute("ROLLBACK TO SAVEPOINT tidemark_need; RELEASE SAVEPOINT tidemark_need")
        }
        for role in roles where try live.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [role]).isEmpty {
            missing.append("role \(plainIdentifier(role))")
        }
        if !missing.isEmpty { throw MissingObjects(names: missing) }
    }
}

/// Objects to which the recovered tables refer and that the live database lacks.
public struct MissingObjects: Explained, Equatable {
    public let names: [String]
    public var message: String { "the live database lacks what the tables need" }
    public var detail: String? { "Missing: \(names.joined(separator: ", "))." }
    public var hint: String? {
        "Create it first (an extension's with CREATE EXTENSION), or recover into a file with --to-file."
    }
}
