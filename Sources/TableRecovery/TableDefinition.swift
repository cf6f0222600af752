import Glibc
import Platform
import Postgres

/// The SQL that creates the tables in the live database as they were: pg_dump's output, from the scratch cluster.
struct TableDefinition {
    /// Tables, defaults, sequences, comments, owners.
    let beforeData: String
    /// Grants, for tables on which only the owner has privileges.
    let privileges: String
    /// Constraints, indexes and extended statistics.
    let afterData: String
    /// The parts that the tables had and the new ones don't get.
    let leftOut: [String]
    let notes: [String]

    init(
        _ names: ScratchNames, parts: SchemaParts, programs: DumpPrograms, scratch: Connection, live: Connection,
        directory: String
    ) throws {
        let oids = "{" + names.tables.map { String($0.old.oid) }.joined(separator: ",") + "}"
        try TableNeeds(oids, parts, scratch).check(live)
        var notes = try RoleTranslation(names, scratch: scratch, live: live).notes
        var options = ["--no-security-labels"]
        let spaces = try scratch.query(
            """
            SELECT DISTINCT t.spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace
            WHERE c.oid = ANY ($1::oid[]) OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[]))
            """, [oids])
        let gone = try spaces.values.compactMap { $0[0] }.filter {
            try live.query("SELECT 1 FROM pg_tablespace WHERE spcname = $1", [$0]).isEmpty
        }
        if !gone.isEmpty {
            options.append("--no-tablespaces")
            notes.append("Tablespace \(gone.joined(separator: ", ")) does not exist any more; the default one is used.")
        }

        let file = directory + "/definition.dump"
        try programs.dump(
            names.tables.map(\.new), format: "custom", options: ["--schema-only", programs.encoding], to: file)
        let entries = try programs.contents(of: file).compactMap(ContentsEntry.init)
        func script(_ included: (ContentsEntry) -> Bool, _ options: [String]) throws -> String {
            let list = directory + "/definition.list"
            try Files.removeIfPresent(list)
            let text = entries.filter(included).map { $0.line + "\n" }.joined()
            try createDurably(list, bytes: Array(text.utf8), mode: 0o600)
            defer { try? Files.remove(list) }
            return try programs.script(of: file, list: list, options: options)
        }
        beforeData = try script(parts.includes, options + ["--section=pre-data"])
        privileges = try script({ $0.kind == "ACL" }, [])
        afterData =
            try script(parts.includes, options + ["--section=post-data"]) + TableDefinition.statistics(oids, scratch)
        leftOut = parts.leftOut(entries)
        self.notes = notes
        try Files.remove(file)
    }

    /// pg_dump omits extended statistics when it dumps a table.
    private static func statistics(_ oids: String, _ scratch: Connection) throws -> String {
        let rows = try scratch.query(
            """
            SELECT pg_get_statisticsobjdef(s.oid), n.nspname, s.stxname, pg_get_userbyid(s.stxowner),
                   nullif(s.stxstattarget, -1), obj_description(s.oid, 'pg_statistic_ext')
            FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
            WHERE s.stxrelid = ANY ($1::oid[]) ORDER BY s.oid
            """, [oids])
        return rows.values.map { row in
            let name = TableName(schema: row[1] ?? "", name: row[2] ?? "").sql
            var text = "\(row[0] ?? "");\nALTER STATISTICS \(name) OWNER TO \(quotedIdentifier(row[3] ?? ""));\n"
            if let target = row[4] { text += "ALTER STATISTICS \(name) SET STATISTICS \(target);\n" }
            if let comment = row[5] { text += "COMMENT ON STATISTICS \(name) IS \(quotedLiteral(comment));\n" }
            return text
        }.joined()
    }
}
