import Planning
import Platform
import Postgres
import Recovery
import WAL

/// Copies recovered tables into the live database, in one transaction: completely or not at all.
struct TableCopy {
    struct Result {
        var tables: [(old: TableName, new: TableName, rows: Int64)] = []
        var leftOut: [String] = []
        var notes: [String] = []
    }

    private let request: TableRecoveryRequest
    private let catalog: TargetCatalog
    private let scratch: Connection
    private let live: Connection
    private let programs: DumpPrograms

    init(
        _ request: TableRecoveryRequest, _ catalog: TargetCatalog, scratch: Connection, live: Connection,
        programs: DumpPrograms
    ) {
        (self.request, self.catalog, self.scratch) = (request, catalog, scratch)
        (self.live, self.programs) = (live, programs)
    }

    /// The suffix of new tables' names: the target time.
    static func suffix(_ plan: Plan) -> String {
        switch plan.target.point {
        case .time(let time): TableName.stamp(time)
        default: TableName.stamp(plan.lastIncluded?.time ?? plan.backup.stopTime)
        }
    }

    /// Creates new tables beside the live ones.
    func make(named name: TableName?, directory: String, progress: (String) throws -> Void) throws -> Result {
        let suffix = TableCopy.suffix(request.plan)
        let roots = catalog.tables.filter(\.isChosen)
        if name != nil, roots.count != 1 {
            throw Problem(
                "one name cannot be given to \(roots.count) tables",
                hint: "Leave it out: each table then gets its own name and the moment.")
        }
        var result = Result()
        try live.transaction {
            _ = try copy(parts: request.parts, directory: directory, into: &result, progress: progress) { old in
                guard let name else { return old.appending(suffix) }
                return TableCopy.rename(old, with: roots[0].name, to: name)
            }
            return ((), TableCopy.sentence(result, "made"))
        }
        return result
    }

    /// The new name of an object that belongs to a table renamed to `new`: `orders_pkey` becomes `again_pkey`.
    static func rename(_ name: TableName, with root: TableName, to new: TableName) -> TableName {
        let schema = name.schema == root.schema ? new.schema : name.schema
        if root.name == new.name { return TableName(schema: schema, name: name.name) }
        let end = name.name.hasPrefix(root.name) ? String(name.name.dropFirst(root.name.count)) : "_" + name.name
        return TableName(schema: schema, name: shortened(new.name, toFit: end) + end)
    }

    /// Replaces the live tables by the recovered ones; keeps the live ones under another name.
    func replace(directory: String, progress: (String) throws -> Void) throws -> Result {
        let parts = SchemaParts(foreignKeys: true, triggers: true, views: true)
        var result = Result()
        try live.transaction {
            for table in catalog.tables.map(\.name) { _ = try present(table) }
            let names = try copy(
                parts: parts, isReplacement: true, directory: directory, into: &result, progress: progress
            ) {
                $0.appending(TableCopy.arriving)
            }
            // Last, because the tables are locked from here to the end.
            let present = try setAside(&result, progress: progress)
            for (kind, old, new) in names.others {
                try live.execute("ALTER \(kind) \(new.sql) RENAME TO \(quotedIdentifier(old.name))")
            }
            for (old, new) in names.tables {
                try live.execute("ALTER TABLE \(new.sql) RENAME TO \(quotedIdentifier(old.name.name))")
            }
            result.tables = result.tables.map { (old: $0.old, new: $0.old, rows: $0.rows) }
            if !present.isEmpty {
                result.notes.append(
                    "The tables that were there are kept: "
                        + present.map { $0.appending(TableCopy.aside).quoted }.joined(separator: ", ") + ".")
            }
            return ((), TableCopy.sentence(result, "replaced"))
        }
        return result
    }

    /// The suffix of a live table that was replaced.
    static let aside = "_before_restore"
    /// Only this transaction ever sees it.
    private static let arriving = "_being_restored"

    /// - Throws: `Problem` when the name for the replaced live table is taken, for example by an earlier recovery.
    static func checkPlaceAside(_ table: TableName, _ live: Connection) throws {
        let kept = table.appending(aside)
        let row = try live.query(
            "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL", [table.sql, kept.sql])
        guard row.scalar == "t" else { return }
        throw Problem(
            "table \(kept.quoted) already exists", detail: "Table \(table.quoted) would be kept under this name.",
            hint: "Is it from an earlier recovery? Drop it, or rename it.")
    }

    /// The OID of the live table of this name; nil when there is none.
    /// - Throws: `Problem` when it can't be replaced.
    private func present(_ table: TableName) throws -> String? {
        let row = try live.query("SELECT oid, relispartition FROM pg_class WHERE oid = to_regclass($1)", [table.sql])
        guard let oid = row.values.first?[0] else { return nil }
        try TableCopy.checkPlaceAside(table, live)
        if row[0][1] == "t", !catalog.tables.contains(where: { $0.name == table && $0.parent != nil }) {
            throw Problem(
                "cannot replace table \(table.quoted): it is a partition",
                hint: "Recover it with --into-table, then exchange the partitions.")
        }
        return oid
    }

    /// Renames the live tables and the objects that belong to them; returns the tables that exist.
    private func setAside(_ result: inout Result, progress: (String) throws -> Void) throws -> [TableName] {
        var present: [TableName] = []
        let replaced = try catalog.tables.compactMap { try self.present($0.name) }
        for table in catalog.tables.map(\.name) {
            guard try self.present(table) != nil else { continue }
            try live.lockOut(table, progress: progress)
            // The table may have been replaced while this waited.
            guard let oid = try self.present(table) else { continue }
            try noteDependents(of: oid, named: table, among: replaced, &result)
            for item in try live.query(ScratchNames.attachments, ["{\(oid)}"]).values {
                let old = TableName(schema: item[0] ?? "", name: item[1] ?? "")
                let new = old.appending(TableCopy.aside)
                try live.execute("ALTER \(item[2] ?? "") \(old.sql) RENAME TO \(quotedIdentifier(new.name))")
            }
            try live.execute(
                "ALTER TABLE \(table.sql) RENAME TO \(quotedIdentifier(table.appending(TableCopy.aside).name))")
            present.append(table)
        }
        return present
    }

    /// Reports views, foreign keys, publications, functions of its row type and others' policies: they follow a table
    /// by its OID, not by its name.
    ///
    /// - Parameter replaced: the OIDs of all tables that are replaced: references between them don't count.
    private func noteDependents(
        of oid: String, named table: TableName, among replaced: [String], _ result: inout Result
    ) throws {
        let rows = try live.query(
            """
            SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass::text FROM pg_constraint
             WHERE contype = 'f' AND confrelid = $1::oid AND NOT conrelid = ANY ($2::oid[]) AND conparentid = 0
            UNION
            SELECT 'view ' || w.ev_class::regclass::text FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
             WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
               AND d.refobjid = $1::oid AND w.ev_class <> $1::oid
            UNION
            SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
            LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
             WHERE d.classid IN ('pg_publication_rel'::regclass, 'pg_proc'::regclass, 'pg_policy'::regclass)
               AND (p.polrelid = ANY ($2::oid[])) IS NOT TRUE
               AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::oid
                 OR d.refclassid = 'pg_type'::regclass AND d.refobjid = (SELECT reltype FROM pg_class WHERE oid = $1::oid))
            ORDER BY 1
            """, [oid, "{\(replaced.joined(separator: ","))}"])
        let dependents = rows.values.compactMap { $0[0] }
        guard !dependents.isEmpty else { return }
        result.notes.append(
            "These still refer to the old table, now \(table.appending(TableCopy.aside).quoted): "
                + dependents.joined(separator: ", ") + ".")
    }

    private static func sentence(_ result: Result, _ what: String) -> String {
        let names = result.tables.map { "\"\($0.new)\"" }.joined(separator: ", ")
        return "These tables were \(what): \(names)."
    }

    /// Creates the tables under their new names, fills them, and adds the objects that follow the data.
    ///
    /// - Parameter isReplacement: whether the tables finally get their old names.
    private func copy(
        parts: SchemaParts, isReplacement: Bool = false, directory: String, into result: inout Result,
        progress: (String) throws -> Void,
        rename: (TableName) -> TableName
    ) throws -> ScratchNames {
        let before = Dictionary(
            try catalog.tables.map { ($0.oid, try columns(of: $0)) }, uniquingKeysWith: { first, _ in first })
        let dependents = try Dependents(of: catalog.tables, in: scratch)
        let gone = try dependents.missing(in: live)
        let names = try ScratchNames(catalog, in: scratch, rename: rename)
        let definition = try TableDefinition(
            names, parts: parts, programs: programs, scratch: scratch, live: live, directory: directory)
        result.leftOut = definition.leftOut + names.lostKeys
        result.notes += definition.notes
        let schemas = MissingSchemas(of: names, scratch: scratch, live: live)
        result.notes += try schemas.create()
        try live.execute(definition.beforeData)
        try withdrawDefaults(names)
        try grant(definition.privileges)
        for (old, new) in names.tables where !old.isPartitioned {
            try progress(new.description)
            let list = before[old.oid] ?? ""
            let into = "COPY \(new.sql)\(list) FROM STDIN"
            var sent: Int64 = 0
            let taken = try live.copyIn(into) { append in
                sent = try scratch.copyOut("COPY \(new.sql)\(list) TO STDOUT") { try append($0) }
            }
            guard sent == taken else {
                throw Problem(
                    "the copy of table \(old.name.quoted) is not complete",
                    detail: "\(counted(sent, "row")) \(sent == 1 ? "was" : "were") sent, \(taken) arrived.")
            }
            result.tables.append((old: old.name, new: new, rows: taken))
        }
        for (name, value, isCalled) in names.sequences {
            try live.query(
                "SELECT pg_catalog.setval($1::regclass, $2::bigint, $3::boolean)", [name.sql, value, "\(isCalled)"])
        }
        try live.execute(definition.afterData)
        // The definition's script has changed settings of the session.
        try live.execute("SET search_path = pg_catalog")
        let keepsNames = isReplacement || names.tables.allSatisfy { $0.old.name == $0.new }
        let (made, left) =
            keepsNames
            ? try dependents.make(gone, parts, in: live, programs: programs, directory: directory)
            : ([], gone.map(\.name))
        result.leftOut += left
        if !made.isEmpty {
            result.notes.append("Created, because the live database lacked them: \(made.joined(separator: ", ")).")
        }
        if !left.isEmpty {
            result.notes.append(
                "These depended on the tables at the target, and the live database does not have them: "
                    + left.joined(separator: ", ") + ".")
        }
        return names
    }

    /// Revokes what ALTER DEFAULT PRIVILEGES granted on the new tables, unless it is among the grants at the target.
    private func withdrawDefaults(_ names: ScratchNames) throws {
        let new = names.tables.map { ("TABLE", $0.new) } + names.sequences.map { ("SEQUENCE", $0.name) }
        for (kind, name) in new {
            let grantees = try live.query(
                """
                SELECT DISTINCT CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END
                FROM pg_class c, aclexplode(c.relacl) e WHERE c.oid = to_regclass($1) AND e.grantee <> c.relowner
                """, [name.sql]
            ).values.compactMap { $0[0] }
            for grantee in grantees { try live.execute("REVOKE ALL ON \(kind) \(name.sql) FROM \(grantee)") }
        }
    }

    /// A role that granted privileges may not be allowed to any more; then the owner grants them.
    private func grant(_ script: String) throws {
        try live.execute("SAVEPOINT tidemark_grant")
        do throws(QueryFailure) { try live.execute(script) } catch {
            guard live.isAlive, error.sqlState != "55P03" else { throw error }
            try live.execute("ROLLBACK TO SAVEPOINT tidemark_grant")
            try live.execute(
                script.split(separator: "\n", omittingEmptySubsequences: false)
                    .filter { !$0.hasPrefix("SET SESSION AUTHORIZATION ") && $0 != "RESET SESSION AUTHORIZATION;" }
                    .joined(separator: "\n"))
        }
        try live.execute("RELEASE SAVEPOINT tidemark_grant")
    }

    /// `(a, b)`: the columns that COPY transfers; generated ones are computed.
    private func columns(of table: TargetRelation) throws -> String {
        let rows = try scratch.query(
            """
            SELECT quote_ident(attname) FROM pg_attribute
            WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
            """, [String(table.oid)])
        let names = rows.values.compactMap { $0[0] }
        return names.isEmpty ? "" : " (\(names.joined(separator: ", ")))"
    }
}
