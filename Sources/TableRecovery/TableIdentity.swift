public import Platform
import Postgres

/// A column of a table, at the target or now.
struct TableColumn {
    /// `pg_attribute.attnum`: it stays when the column is renamed.
    let number: String
    let name: String
    let type: String
    /// The expression of a generated column.
    let expression: String?

    static func all(of oid: String, in connection: Connection) throws -> [TableColumn] {
        try connection.query(
            """
            SELECT attnum, attname, format_type(atttypid, atttypmod),
                   CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid) END
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
            """, [oid]
        ).values.map {
            TableColumn(number: $0[0] ?? "", name: $0[1] ?? "", type: $0[2] ?? "", expression: $0[3])
        }
    }
}

/// Whether the live table of a name is the one that had the name at the target, and its columns are the same.
/// PostgreSQL identifies tables by OID and columns by number: the names may belong to others now, which must not get
/// the rows.
struct TableIdentity {
    let name: TableName
    /// The differences that make it another table, or a column another column, as sentences.
    let differences: [String]
    /// Remark that only the names match, as a sentence.
    let remark: String?

    /// - Parameter oid: the live table's.
    init(
        _ root: TargetRelation, oid: String, columns: (then: [TableColumn], now: [TableColumn]), scratch: Connection,
        live: Connection
    ) throws {
        name = root.name
        if oid == String(root.oid) {
            differences = TableIdentity.changes(columns, of: name)
            remark = nil
            return
        }
        var differences: [String] = []
        // --replace keeps the old table under this name; the table that replaced it is meant.
        let today = try TableIdentity.name(of: String(root.oid), live)
        if let today, today != root.name.appending(TableCopy.aside) {
            differences.append("The table that was \(name.quoted) at the target is \(today.quoted) today.")
        }
        if let former = try TableIdentity.name(of: oid, scratch) {
            differences.append("Table \(name.quoted) was \(former.quoted) at the target.")
        }
        guard differences.isEmpty else {
            (self.differences, remark) = (differences, nil)
            return
        }
        self.differences = TableIdentity.changesOfNamesake(columns, of: name)
        remark = "Table \(name.quoted) was created anew after the target; its columns are compared by name."
    }

    /// Nil unless it is a table: in a cluster restored from a dump, the OID may be anything's.
    private static func name(of oid: String, _ connection: Connection) throws -> TableName? {
        try connection.query(
            """
            SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = $1::oid AND c.relkind IN ('r', 'p')
            """, [oid]
        ).values.first.map { TableName(schema: $0[0] ?? "", name: $0[1] ?? "") }
    }

    /// Changes of columns; a column that was dropped since gets no values.
    private static func changes(_ columns: (then: [TableColumn], now: [TableColumn]), of table: TableName) -> [String] {
        columns.then.flatMap { then -> [String] in
            guard let now = columns.now.first(where: { $0.number == then.number }) else {
                return columns.now.contains { $0.name == then.name }
                    ? ["Column \"\(then.name)\" of table \(table.quoted) was dropped, and another of that name added."]
                    : []
            }
            let renamed =
                now.name == then.name
                ? [] : ["Column \"\(then.name)\" of table \(table.quoted) is named \"\(now.name)\" today."]
            return renamed + change(then, now, of: table)
        }
    }

    /// Changes of columns of another table, by name, as numbers differ between tables. A column in only one of them may
    /// have been renamed.
    private static func changesOfNamesake(
        _ columns: (then: [TableColumn], now: [TableColumn]), of table: TableName
    ) -> [String] {
        let changed = columns.then.flatMap { then in
            columns.now.first { $0.name == then.name }.map { change(then, $0, of: table) } ?? []
        }
        let gone = columns.then.map(\.name).filter { name in !columns.now.contains { $0.name == name } }
        let new = columns.now.map(\.name).filter { name in !columns.then.contains { $0.name == name } }
        guard !gone.isEmpty, !new.isEmpty else { return changed }
        func list(_ names: [String]) -> String { names.map { "\"\($0)\"" }.joined(separator: ", ") }
        return changed + [
            "Table \(table.quoted) was created anew; it lacks what was \(list(gone)) at the target, and has \(list(new))."
        ]
    }

    private static func change(_ then: TableColumn, _ now: TableColumn, of table: TableName) -> [String] {
        let subject = "Column \"\(then.name)\" of table \(table.quoted)"
        if then.type != now.type { return ["\(subject) was of type \(then.type), and is of type \(now.type) today."] }
        switch (then.expression != nil, now.expression != nil) {
        case (true, false): return ["\(subject) was generated at the target, and is not today."]
        case (false, true): return ["\(subject) was not generated at the target, and is today."]
        default: return []
        }
    }
}

/// Live tables into which rows of the target may not be inserted, because names have another meaning now.
public struct ChangedTables: Explained, Equatable {
    public let names: [TableName]
    public let differences: [String]

    init(_ changed: [TableIdentity]) {
        (names, differences) = (changed.map(\.name), changed.flatMap(\.differences))
    }

    public var message: String {
        names.count == 1
            ? "cannot put rows back into table \(names[0].quoted): it is not as it was at the target"
            : "cannot put rows back into tables \(names.map(\.quoted).joined(separator: ", ")): "
                + "they are not as they were at the target"
    }
    public var detail: String? { differences.joined(separator: " ") + " Nothing was changed." }
    public var hint: String? {
        "Bring the rows back with --into-table instead of --diff, and insert those that are missing with SQL."
    }
}
