import Platform
import Postgres

/// Owners and privileges of recovered tables: roles that the live cluster no longer has are replaced or removed in the
/// scratch cluster, before pg_dump reads the definition.
struct RoleTranslation {
    /// OIDs of the tables and the sequences they own, as an array constant.
    private let oids: String
    private let scratch: Connection
    private let live: Connection
    /// Ownership and privileges that can't be restored, as sentences.
    private(set) var notes: [String] = []

    init(_ names: ScratchNames, scratch: Connection, live: Connection) throws {
        (self.scratch, self.live) = (scratch, live)
        var all = names.tables.map { String($0.old.oid) }
        for (name, _, _) in names.sequences {
            try all.append(scratch.query("SELECT $1::regclass::oid", [name.sql]).scalar ?? "0")
        }
        oids = "{" + all.joined(separator: ",") + "}"
        let owners = try missingRoles().filter(\.owns).map(\.name)
        if !owners.isEmpty {
            try handOver(from: owners)
            notes.append(
                "The owner (\(owners.joined(separator: ", "))) does not exist in the live cluster; you own the tables.")
        }
        let holders = try missingRoles().map(\.name)
        if !holders.isEmpty {
            try takeOut(holders)
            notes.append(
                "Privileges of roles that do not exist in the live cluster: \(holders.joined(separator: ", ")).")
        }
    }

    /// Roles that own the relations or their statistics, or hold or granted a privilege, and don't exist in the live
    /// cluster.
    private func missingRoles() throws -> [(name: String, owns: Bool)] {
        let rows = try scratch.query(
            """
            SELECT r.rolname, bool_or(x.owns) FROM (
                SELECT relowner AS role, true AS owns FROM pg_class WHERE oid = ANY ($1::oid[])
                UNION ALL SELECT stxowner, true FROM pg_statistic_ext WHERE stxrelid = ANY ($1::oid[])
                UNION ALL SELECT unnest(ARRAY[e.grantee, e.grantor]), false FROM pg_class c, aclexplode(c.relacl) e
                 WHERE c.oid = ANY ($1::oid[])
                UNION ALL SELECT unnest(ARRAY[e.grantee, e.grantor]), false FROM pg_attribute a, aclexplode(a.attacl) e
                 WHERE a.attrelid = ANY ($1::oid[])) x
            JOIN pg_roles r ON r.oid = x.role GROUP BY 1 ORDER BY 1
            """, [oids])
        return try rows.values.compactMap { row in
            guard let name = row[0], try live.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [name]).isEmpty
            else { return nil }
            return (name, row[1] == "t")
        }
    }

    /// Makes the role that recovers the tables their owner.
    private func handOver(from owners: [String]) throws {
        let me = try live.query("SELECT current_user").scalar ?? ""
        if try scratch.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [me]).isEmpty {
            try scratch.execute("CREATE ROLE \(quotedIdentifier(me))")
        }
        // Owned sequences follow their table.
        let owned = try scratch.query(
            """
            SELECT 'TABLE', n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.oid = ANY ($1::oid[]) AND c.relkind <> 'S' AND pg_get_userbyid(c.relowner) = ANY ($2::name[])
            UNION ALL
            SELECT 'STATISTICS', n.nspname, s.stxname FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
             WHERE s.stxrelid = ANY ($1::oid[]) AND pg_get_userbyid(s.stxowner) = ANY ($2::name[])
            """, [oids, arrayConstant(owners)])
        for row in owned.values {
            let name = TableName(schema: row[1] ?? "", name: row[2] ?? "")
            try scratch.execute("ALTER \(row[0] ?? "") \(name.sql) OWNER TO \(quotedIdentifier(me))")
        }
    }

    /// REVOKE needs CASCADE where these roles granted privileges to others; the catalog rows are changed instead.
    private func takeOut(_ roles: [String]) throws {
        try scratch.execute("SET allow_system_table_mods = on")
        for (catalog, privileges, relation) in [("pg_class", "relacl", "oid"), ("pg_attribute", "attacl", "attrelid")] {
            try scratch.query(
                """
                UPDATE \(catalog) SET \(privileges) = coalesce((
                    SELECT array_agg(item) FROM unnest(\(privileges)) item WHERE NOT EXISTS (
                        SELECT FROM aclexplode(ARRAY[item]) e JOIN pg_roles r ON r.oid IN (e.grantee, e.grantor)
                        WHERE r.rolname = ANY ($2::name[]))), '{}')
                WHERE \(relation) = ANY ($1::oid[]) AND \(privileges) IS NOT NULL
                """, [oids, arrayConstant(roles)])
        }
        try scratch.execute("RESET allow_system_table_mods")
    }
}

/// An array constant of texts, correctly quoted.
func arrayConstant(_ texts: [String]) -> String {
    let quoted = texts.map { text in "\"" + escaped(text) { $0 == "\"" || $0 == "\\" ? "\\\($0)" : nil } + "\"" }
    return "{" + quoted.joined(separator: ",") + "}"
}
