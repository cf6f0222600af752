import Platform
import Postgres

/// Objects that depended on the recovered tables at the target and belong to others: other tables' foreign keys,
/// policies, rules, triggers and defaults, views, functions. DROP … CASCADE drops them, too.
struct Dependents {
    struct Dependent {
        enum Kind {
            case foreignKey
            /// Created by one statement: triggers, rules, policies.
            case trigger
            case view
            case other
        }
        let kind: Kind
        let catalog: String
        let oid: String
        /// For messages: `constraint items_order_id_fkey on table public.items`.
        let name: String
        /// The result of `pg_identify_object_as_address`.
        let address: [String?]
    }
    private let all: [Dependent]
    private let scratch: Connection

    /// - Parameter tables: at the target, with their original names.
    init(of tables: [TargetRelation], in scratch: Connection) throws {
        self.scratch = scratch
        try scratch.execute("SET search_path = pg_catalog")
        let rows = try scratch.query(
            """
            WITH RECURSIVE own (classid, objid) AS (
                SELECT 'pg_class'::regclass::oid, unnest($1::oid[])
                UNION SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[])
                UNION SELECT 'pg_class'::regclass, objid FROM pg_depend WHERE classid = 'pg_class'::regclass
                    AND refclassid = 'pg_class'::regclass AND refobjid = ANY ($1::oid[]) AND deptype IN ('a', 'i')
                UNION SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = ANY ($1::oid[])
                UNION SELECT 'pg_type'::regclass, unnest(ARRAY[t.oid, t.typarray])
                    FROM pg_class c JOIN pg_type t ON t.oid = c.reltype WHERE c.oid = ANY ($1::oid[])),
            found (classid, objid, objsubid) AS (
                SELECT classid, objid, 0 FROM own
                UNION
                SELECT e.classid, e.objid, e.objsubid FROM found f
                JOIN pg_depend d ON d.refclassid = f.classid AND d.refobjid = f.objid
                    AND (d.deptype = 'n' OR d.classid = 'pg_publication_rel'::regclass)
                CROSS JOIN LATERAL (
                    SELECT d.classid, d.objid, d.objsubid WHERE d.classid <> 'pg_rewrite'::regclass
                    UNION ALL SELECT d.classid, d.objid, 0 FROM pg_rewrite w
                        WHERE d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.rulename <> '_RETURN'
                    UNION ALL SELECT x.classid, x.objid, 0 FROM pg_rewrite w JOIN pg_class v ON v.oid = w.ev_class,
                        LATERAL (VALUES ('pg_class'::regclass::oid, v.oid), ('pg_type'::regclass::oid, v.reltype)) x (classid, objid)
                        WHERE d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.rulename = '_RETURN') e)
            SELECT d.classid::regclass::text, d.objid, coalesce(c.relkind, ''), coalesce(k.contype, ''), i.type, i.object_names,
                   i.object_args, CASE WHEN k.contype = 'f' THEN 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass
                        ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END
            FROM found d
            LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
            LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
            LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
            LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
            LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
            LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid,
            LATERAL pg_identify_object_as_address(d.classid, d.objid, d.objsubid) i
            WHERE NOT EXISTS (SELECT 1 FROM own o WHERE o.classid = d.classid AND o.objid = d.objid)
              AND d.classid <> 'pg_type'::regclass
              AND (c.oid IS NULL OR c.relkind IN ('v', 'm') OR c.relkind IN ('r', 'p', 'f', 'c') AND d.objsubid > 0)
              AND (k.oid IS NULL OR k.conparentid = 0 AND k.contype <> 't')
              AND (t.oid IS NULL OR NOT t.tgisinternal)
              AND NOT coalesce(k.conrelid, a.adrelid, t.tgrelid, p.polrelid, w.ev_class, 0) = ANY ($1::oid[])
            ORDER BY d.classid, d.objid
            """, ["{" + tables.map { String($0.oid) }.joined(separator: ",") + "}"])
        all = rows.values.map { row in
            let kind: Dependent.Kind =
                switch row[0] {
                case "pg_constraint" where row[3] == "f": .foreignKey
                case "pg_trigger", "pg_rewrite", "pg_policy": .trigger
                case "pg_class" where row[2] == "v" || row[2] == "m": .view
                default: .other
                }
            return Dependent(
                kind: kind, catalog: row[0] ?? "", oid: row[1] ?? "", name: row[7] ?? "", address: Array(row[4...6]))
        }
    }

    /// Those that the live database lacks; within a transaction, before the tables are created there.
    func missing(in live: Connection) throws -> [Dependent] {
        try all.filter { dependent in
            try !live.attempt { () throws(QueryFailure) in
                try live.query("SELECT pg_get_object_address($1, $2::text[], $3::text[])", dependent.address)
            }
        }
    }

    /// Recreates those that `parts` selects, in a live database that has the tables under their present names in the
    /// scratch cluster.
    ///
    /// - Returns: those that were not created, with the reason where there is one.
    func make(
        _ missing: [Dependent], _ parts: SchemaParts, in live: Connection, programs: DumpPrograms, directory: String
    ) throws -> (made: [String], left: [String]) {
        var (made, left): ([String], [String]) = ([], [])
        func wants(_ dependent: Dependent) -> Bool {
            switch dependent.kind {
            case .foreignKey: parts.foreignKeys
            case .trigger: parts.triggers
            case .view: parts.views
            case .other: false
            }
        }
        let views = missing.filter { $0.kind == .view && wants($0) }
        // Views first, all at once: the others may refer to them.
        if !views.isEmpty {
            let script = try script(of: views, programs, directory)
            if let reason = try live.refusal(of: script) {
                left += views.map { "\($0.name) (\(reason))" }
            } else {
                made += views.map(\.name)
            }
        }
        for dependent in missing where dependent.kind != .view || !wants(dependent) {
            guard wants(dependent) else {
                left.append(dependent.name)
                continue
            }
            guard let statement = try statement(dependent) else {
                left.append(dependent.name)
                continue
            }
            if let reason = try live.refusal(of: statement) {
                left.append("\(dependent.name) (\(reason))")
            } else {
                made.append(dependent.name)
            }
        }
        return (made, left)
    }

    private func script(of views: [Dependent], _ programs: DumpPrograms, _ directory: String) throws -> String {
        let oids = "{" + views.map(\.oid).joined(separator: ",") + "}"
        let rows = try scratch.query(
            """
            SELECT n.nspname, c.relname, c.relkind = 'm' AND c.relispopulated FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[]) ORDER BY c.oid
            """, [oids]
        ).values.map { (name: TableName(schema: $0[0] ?? "", name: $0[1] ?? ""), isFilled: $0[2] == "t") }
        let file = directory + "/views.sql"
        try createDurably(file, bytes: [], mode: 0o600)
        try programs.dump(
            rows.map(\.name), format: "plain",
            options: ["--schema-only", programs.encoding, "--no-security-labels", "--no-publications"], to: file)
        let text = DumpPrograms.runnableSQL(String(decoding: try Files.read(file, limit: 64 << 20), as: UTF8.self))
        try Files.remove(file)
        return text + rows.filter(\.isFilled).map { "REFRESH MATERIALIZED VIEW \($0.name.sql);\n" }.joined()
    }

    /// The statement that creates a dependent; nil when there is none.
    private func statement(_ dependent: Dependent) throws -> String? {
        switch dependent.catalog {
        case "pg_constraint":
            try scratch.query(
                """
                SELECT 'ALTER TABLE ' || conrelid::regclass || ' ADD CONSTRAINT ' || quote_ident(conname) || ' '
                    || pg_get_constraintdef(oid) FROM pg_constraint WHERE oid = $1::oid
                """, [dependent.oid]
            ).scalar
        case "pg_trigger": try scratch.query("SELECT pg_get_triggerdef($1::oid)", [dependent.oid]).scalar
        case "pg_rewrite": try scratch.query("SELECT pg_get_ruledef($1::oid)", [dependent.oid]).scalar
        case "pg_policy":
            try scratch.query(
                """
                SELECT 'CREATE POLICY ' || quote_ident(polname) || ' ON ' || polrelid::regclass
                    || CASE WHEN polpermissive THEN '' ELSE ' AS RESTRICTIVE' END
                    || ' FOR ' || CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                        WHEN 'd' THEN 'DELETE' ELSE 'ALL' END
                    || ' TO ' || (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
                        FROM unnest(polroles) r)
                    || coalesce(' USING (' || pg_get_expr(polqual, polrelid) || ')', '')
                    || coalesce(' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')', '')
                FROM pg_policy WHERE oid = $1::oid
                """, [dependent.oid]
            ).scalar
        default: nil
        }
    }
}

extension Connection {
    /// Runs `body` in a savepoint; returns whether it succeeded.
    fileprivate func attempt(_ body: () throws(QueryFailure) -> Void) throws -> Bool {
        try execute("SAVEPOINT tidemark_attempt")
        var works = true
        do throws(QueryFailure) { try body() } catch {
            guard isAlive, error.sqlState != "55P03" else { throw error }
            works = false
        }
        try execute("ROLLBACK TO SAVEPOINT tidemark_attempt; RELEASE SAVEPOINT tidemark_attempt")
        return works
    }

    /// Runs a script in a savepoint; if it fails, rolls it back and returns the reason.
    fileprivate func refusal(of script: String) throws -> String? {
        try execute("SAVEPOINT tidemark_script")
        var reason: String?
        do throws(QueryFailure) { try execute(script) } catch {
            guard isAlive, error.sqlState != "55P03" else { throw error }
            reason = error.reason
            try execute("ROLLBACK TO SAVEPOINT tidemark_script")
        }
        try execute("RELEASE SAVEPOINT tidemark_script; SET search_path = pg_catalog")
        return reason
    }
}
