import Glibc
import Platform
import Postgres

/// The SQL that makes tables in the live database as they were: pg_dump's own, from the scratch cluster.
struct TableDefinition {
    /// Tables, defaults, sequences, comments, owners.
    let beforeData: String
    /// Constraints and indexes.
    let afterData: String
    /// What the tables had and don't get.
    let leftOut: [String]
    let notes: [String]

    init(
        _ names: ScratchNames, parts: SchemaParts, programs: DumpPrograms, scratch: Connection, live: Connection,
        directory: String
    ) throws {
        var notes: [String] = []
        let oids = "{" + names.tables.map { String($0.old.oid) }.joined(separator: ",") + "}"
        try TableNeeds(oids, parts, scratch).check(live)
        var options = ["--no-security-labels"]
        let owners = try scratch.query(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE oid = ANY ($1::oid[])", [oids])
        let missing = try owners.values.compactMap { $0[0] }.filter {
            try live.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [$0]).isEmpty
        }
        if !missing.isEmpty {
            options.append("--no-owner")
            notes.append(
                "The owner (\(missing.joined(separator: ", "))) does not exist in the live cluster; you own the tables."
            )
        }
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
            names.tables.map(\.new), format: "custom", options: ["--schema-only", "--encoding=UTF8"], to: file)
        let entries = try programs.contents(of: file).compactMap(ContentsEntry.init)
        let list = directory + "/definition.list"
        let kept = entries.filter(parts.includes).map { $0.line + "\n" }.joined()
        try Files.removeIfPresent(list)
        try createDurably(list, bytes: Array(kept.utf8), mode: 0o600)
        beforeData = try programs.script(of: file, section: "pre-data", list: list, options: options)
        afterData = try programs.script(of: file, section: "post-data", list: list, options: options)
        let statistics = try scratch.query(
            "SELECT stxname FROM pg_statistic_ext WHERE stxrelid = ANY ($1::oid[]) ORDER BY 1", [oids])
        leftOut =
            parts.leftOut(entries) + statistics.values.map { "extended statistics \(plainIdentifier($0[0] ?? ""))" }
        self.notes = notes
        try Files.remove(file)
        try Files.remove(list)
    }
}
