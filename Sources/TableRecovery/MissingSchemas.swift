import Platform
import Postgres

/// Schemas that recovered tables go to and that the live database lacks.
struct MissingSchemas {
    private let names: ScratchNames
    private let scratch: Connection
    private let live: Connection

    init(of names: ScratchNames, scratch: Connection, live: Connection) {
        (self.names, self.scratch, self.live) = (names, scratch, live)
    }

    /// Creates them: a schema the tables were in at the target gets its owner and privileges from there.
    ///
    /// - Returns: remarks for the user, as sentences.
    func create() throws -> [String] {
        let all = Set(names.tables.map(\.new.schema) + names.others.map(\.new.schema)).sorted()
        let missing = try all.filter {
            try live.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [$0]).isEmpty
        }
        for schema in missing {
            try live.execute("CREATE SCHEMA \(quotedIdentifier(schema))")
            // The scratch cluster's schema of that name counts only if the tables were in it at the target.
            let isNew =
                names.tables.contains { $0.new.schema == schema }
                && !names.tables.contains { $0.old.name.schema == schema }
            if !isNew { try restorePrivileges(schema) }
        }
        return missing.map { "Schema \"\($0)\" was missing in the live database and has been created." }
    }

    private func restorePrivileges(_ schema: String) throws {
        func isThere(_ role: String?) throws -> Bool {
            try role == "PUBLIC" || !live.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [role]).isEmpty
        }
        let name = quotedIdentifier(schema)
        let rows = try scratch.query(
            """
            SELECT pg_get_userbyid(n.nspowner), e.privilege_type, e.is_grantable,
                   CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(e.grantee) END
            FROM pg_namespace n LEFT JOIN LATERAL aclexplode(n.nspacl) e ON e.grantee <> n.nspowner WHERE n.nspname = $1
            """, [schema])
        if let owner = rows.scalar, try isThere(owner) {
            try live.execute("ALTER SCHEMA \(name) OWNER TO \(quotedIdentifier(owner))")
        }
        for row in rows.values {
            guard let privilege = row[1], let grantee = row[3], try isThere(grantee) else { continue }
            let role = grantee == "PUBLIC" ? grantee : quotedIdentifier(grantee)
            let option = row[2] == "t" ? " WITH GRANT OPTION" : ""
            try live.execute("GRANT \(privilege) ON SCHEMA \(name) TO \(role)\(option)")
        }
    }
}
