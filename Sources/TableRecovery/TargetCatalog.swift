import Planning
public import Platform
import Postgres

/// A relation of the recovered database as it was at the target.
struct TargetRelation: Sendable, Hashable {
    var oid: UInt32
    var name: TableName
    /// `pg_class.relkind`.
    var kind: String
    /// `pg_class.relpersistence`.
    var persistence: String
    /// 0 when it has no file of its own.
    var fileNode: UInt32
    /// The partitioned table or parent it belongs to, if that is among the chosen ones.
    var parent: UInt32?
    /// Chosen by its name, not as a partition.
    var isChosen: Bool

    var isPartitioned: Bool { kind == "p" }
}

/// The wanted tables in the catalogs of a recovered database.
struct TargetCatalog {
    /// Tables, parents before their partitions.
    let tables: [TargetRelation]
    /// The file numbers on which the tables depend: theirs, and those of their TOAST tables with indexes.
    let fileNodes: Set<UInt32>
    /// Tables that match, or whose parent does, but whose contents can't be recovered.
    let unlogged: [TableName]
    let foreign: [TableName]
    /// Further remarks, as sentences.
    let notes: [String]

    /// - Parameters:
    ///   - plan: for what recovers the whole cluster, in a refusal.
    ///   - comparing: whether all children of a parent are needed, even where a pattern chose it.
    /// - Throws: `TableRefusal` when a table doesn't exist or can't be recovered.
    init(_ connection: Connection, patterns: [TablePattern], plan: Plan, comparing: Bool) throws {
        let rows = try connection.query(
            """
            SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, coalesce(pg_relation_filenode(c.oid), 0),
                   c.reltoastrelid, i.inhparent
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
            WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c', 'i', 'I') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
              AND n.nspname !~ '^pg_toast'
            ORDER BY n.nspname, c.relname, i.inhseqno
            """)
        let all = rows.values.map(Row.init)
        var chosen: [UInt32: TargetRelation] = [:]
        var order: [UInt32] = []
        var unlogged: Set<TableName> = []
        var foreign: Set<TableName> = []
        /// A table that is named must be recoverable completely; of those that match a pattern, only the recoverable
        /// ones are taken.
        func takeIfPossible(_ row: Row, parent: UInt32?) {
            if row.kind == "f" {
                foreign.insert(row.name)
            } else if row.persistence == "u" {
                unlogged.insert(row.name)
            } else if row.persistence != "t" {
                take(row, parent: parent, isNamed: false)
            }
        }
        func take(_ row: Row, parent: UInt32?, isNamed: Bool) {
            if var known = chosen[row.oid] {
                known.parent = known.parent ?? parent
                chosen[row.oid] = known
                return
            }
            chosen[row.oid] = TargetRelation(
                oid: row.oid, name: row.name, kind: row.kind, persistence: row.persistence, fileNode: row.fileNode,
                parent: parent, isChosen: parent == nil)
            order.append(row.oid)
            // A temporary table belongs to some session.
            for child in all where child.parent == row.oid && child.persistence != "t" {
                if isNamed || comparing {
                    take(child, parent: row.oid, isNamed: true)
                } else {
                    takeIfPossible(child, parent: row.oid)
                }
            }
        }
        for pattern in patterns {
            let named = all.filter { pattern.matches(schema: $0.name.schema, table: $0.name.name) }
            let matching = named.filter { FileSelection.mayBeMeant($0.kind, by: pattern) }
            if matching.isEmpty, pattern.isExact, let other = named.first {
                if other.kind == "f" { throw TableRefusal.foreign(other.name, others: []) }
                throw TableRefusal.notTable(
                    other.name, kind: other.kind, definition: try TargetCatalog.definition(other.oid, connection),
                    whole: plan.wholeRecovery)
            }
            if matching.isEmpty { throw TableRefusal.absent(pattern, similar: TargetCatalog.similar(to: pattern, all)) }
            // Partitioned tables first, so that their partitions are recognised as theirs.
            for row in matching.sorted(by: { ($0.kind == "p" ? 0 : 1) < ($1.kind == "p" ? 0 : 1) }) {
                if pattern.isExact { take(row, parent: nil, isNamed: true) } else { takeIfPossible(row, parent: nil) }
            }
        }
        var notes: [String] = []
        for view in order.compactMap({ chosen[$0] }) where view.kind == "m" {
            notes.append(try TargetCatalog.makeTable(of: view, connection))
        }
        self.notes = notes
        tables = order.compactMap { chosen[$0] }
        (self.unlogged, self.foreign) = (unlogged.sorted(), foreign.sorted())
        for table in tables {
            let others = TargetCatalog.others(than: table, tables)
            if table.kind == "f" { throw TableRefusal.foreign(table.name, others: others) }
            if table.persistence == "u" { throw TableRefusal.unlogged(table.name, others: others) }
            if table.persistence == "t" { throw TableRefusal.temporary(table.name) }
        }
        if tables.isEmpty { throw TableRefusal.nothing }
        if try SessionSettings.isUnencoded(connection),
            let table = tables.first(where: { $0.name.sql.unicodeScalars.contains("\u{FFFD}") })
        {
            throw TableRefusal.unreadable(table.name, whole: plan.wholeRecovery)
        }
        let list = "{" + tables.map { String($0.oid) }.joined(separator: ",") + "}"
        let files = try connection.query(
            """
            SELECT pg_relation_filenode(oid) FROM pg_class WHERE oid = ANY ($1::oid[])
            UNION SELECT pg_relation_filenode(reltoastrelid) FROM pg_class WHERE oid = ANY ($1::oid[]) AND reltoastrelid <> 0
            UNION SELECT pg_relation_filenode(i.indexrelid) FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid
                  WHERE c.oid = ANY ($1::oid[]) AND c.reltoastrelid <> 0
            """, [list])
        fileNodes = Set(files.values.compactMap { $0[0].flatMap { UInt32($0) } })
    }

    /// The other tables of the same parent that can be recovered by their own names.
    private static func others(than table: TargetRelation, _ tables: [TargetRelation]) -> [TableName] {
        guard table.parent != nil, !table.isChosen else { return [] }
        return tables.filter { $0.parent != nil && $0.kind == "r" && $0.persistence == "p" }.map(\.name)
    }

    /// Whether it is a partition of one of the tables, rather than a table that inherits from one.
    func isPartition(_ table: TargetRelation) -> Bool {
        tables.contains { $0.oid == table.parent && $0.isPartitioned }
    }

    /// The definition of a view; nil when it isn't one.
    private static func definition(_ oid: UInt32, _ connection: Connection) throws -> String? {
        let row = try connection.query(
            """
            SELECT c.relkind, pg_get_viewdef(c.oid), n.nspname, c.relname FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid AND c.relkind IN ('v', 'm')
            """, [String(oid)])
        guard let row = row.values.first, let text = row[1] else { return nil }
        let name = TableName(schema: row[2] ?? "", name: row[3] ?? "")
        return "CREATE \(row[0] == "m" ? "MATERIALIZED " : "")VIEW \(name) AS "
            + text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    /// Turns a materialized view into a table, in the scratch cluster's catalogs: its content is one.
    ///
    /// - Returns: a remark for the user.
    private static func makeTable(of view: TargetRelation, _ connection: Connection) throws -> String {
        let oid = String(view.oid)
        let definition = try definition(view.oid, connection) ?? ""
        if try connection.query("SELECT relispopulated FROM pg_class WHERE oid = $1::oid", [oid]).scalar == "f" {
            throw TableRefusal.notPopulated(view.name, definition: definition)
        }
        try connection.execute(
            """
            SET allow_system_table_mods = on;
            DELETE FROM pg_depend WHERE classid = 'pg_rewrite'::regclass
                AND objid IN (SELECT oid FROM pg_rewrite WHERE ev_class = \(oid));
            DELETE FROM pg_rewrite WHERE ev_class = \(oid);
            UPDATE pg_class SET relkind = 'r', relhasrules = false WHERE oid = \(oid);
            RESET allow_system_table_mods
            """)
        return
            "\(view.name.quoted) is a materialized view; its contents are brought back as a table. Its definition was: \(definition)"
    }

    private struct Row {
        let oid: UInt32
        let name: TableName
        let kind: String
        let persistence: String
        let fileNode: UInt32
        let parent: UInt32?

        init(_ row: [String?]) {
            oid = row[0].flatMap { UInt32($0) } ?? 0
            name = TableName(schema: row[1] ?? "", name: row[2] ?? "")
            kind = row[3] ?? ""
            persistence = row[4] ?? ""
            fileNode = row[5].flatMap { UInt32($0) } ?? 0
            parent = row[7].flatMap { UInt32($0) }
        }
    }

    /// Similar names, to suggest: the same table in another schema, or nearly the same name.
    private static func similar(to pattern: TablePattern, _ all: [Row]) -> [TableName] {
        guard let wanted = pattern.table.name else { return [] }
        let names = Set(all.map(\.name))
        return names.filter { name in
            name.name == wanted || name.name.lowercased() == wanted.lowercased() || name.name.contains(wanted)
                || wanted.contains(name.name)
        }.sorted().prefix(5).map { $0 }
    }
}

/// A table that can't be recovered, and why.
public enum TableRefusal: Explained, Equatable {
    case absent(TablePattern, similar: [TableName])
    /// The other children of the table's parent.
    case unlogged(TableName, others: [TableName])
    case temporary(TableName)
    case foreign(TableName, others: [TableName])
    /// `pg_class.relkind`; and the command that recovers the whole cluster.
    case notTable(TableName, kind: String, definition: String?, whole: String)
    /// A materialized view.
    case notPopulated(TableName, definition: String)
    /// A materialized view.
    case notReplaceable(TableName)
    case nothing
    /// Its name, or its schema's, is not UTF-8.
    case unreadable(TableName, whole: String)
    case noSuchDatabase(String, known: [String])

    public var message: String {
        switch self {
        case .absent(let pattern, _):
            if let schema = pattern.schema.name, let name = pattern.table.name {
                "table \(inQuotationMarks("\(plainIdentifier(pattern.database)).\(TableName(schema: schema, name: name))")) did not exist at the "
                    + "target"
            } else {
                "no table of database \"\(pattern.database)\" matched the pattern at the target"
            }
        case .unlogged(let name, _): "cannot recover table \(name.quoted): it was unlogged at the target"
        case .temporary(let name): "cannot recover table \(name.quoted): it is temporary"
        case .foreign(let name, _): "cannot recover table \(name.quoted): it is a foreign table"
        case .notPopulated(let name, _): "cannot recover \(name.quoted): it is a materialized view without content"
        case .notReplaceable(let name): "cannot replace \(name.quoted): it is a materialized view"
        case .notTable(let name, let kind, _, _):
            "cannot recover \(name.quoted): it is \(TableRefusal.kinds[kind] ?? "no table")"
        case .nothing: "there is no table to recover"
        case .unreadable(let name, _): "cannot recover table \(name.quoted): its name is not UTF-8"
        case .noSuchDatabase(let name, _): "database \"\(name)\" did not exist at the target"
        }
    }
    private static let kinds = [
        "v": "a view", "S": "a sequence", "c": "a composite type", "i": "an index",
        "I": "an index",
    ]

    public var detail: String? {
        switch self {
        case .absent(_, let similar):
            similar.isEmpty
                ? nil : "There were: " + similar.map(\.quoted).joined(separator: ", ") + "."
        case .unlogged: "Its content is in no base backup and in no WAL."
        case .temporary: "Its content is in no base backup and in no WAL, and its session is over."
        case .foreign: "Its content is on another server."
        case .notTable(_, _, let definition?, _), .notPopulated(_, let definition): "Its definition was: \(definition)"
        case .notReplaceable: "Its content follows from tables."
        case .notTable: "Only tables are recovered by themselves; sequences and indexes come with theirs."
        case .nothing: nil
        case .unreadable: "The database has no encoding, and the name's bytes cannot be given to pg_dump."
        case .noSuchDatabase(_, let known):
            known.isEmpty ? nil : "The backup has: " + known.map { "\"\($0)\"" }.joined(separator: ", ") + "."
        }
    }
    public var hint: String? {
        switch self {
        case .absent:
            "Was it dropped before, or created after that moment? --before-drop in place of the target finds the moment."
        case .notReplaceable:
            "Recover the tables it depends on, then REFRESH MATERIALIZED VIEW; or recover its contents with --into-table."
        case .unlogged(_, let others) where !others.isEmpty, .foreign(_, let others) where !others.isEmpty:
            "The parent's other tables can be recovered by their own names: "
                + others.prefix(5).map(\.quoted).joined(separator: ", ") + (others.count > 5 ? " and so on." : ".")
        case .unreadable(_, let whole):
            "Recover the other tables by their names, or the whole cluster with \"\(whole)\"."
        case .notTable(_, _, nil, let whole):
            "Its definition is in the recovered cluster: \"\(whole)\" next to the live one, then pg_dump --schema-only."
        default: nil
        }
    }
}
