import Platform
import WAL

/// A relation's name in its database.
public struct TableName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let schema: String
    public let name: String
    public init(schema: String, name: String) { (self.schema, self.name) = (schema, name) }

    /// For SQL, every part quoted.
    public var sql: String { quotedIdentifier(schema) + "." + quotedIdentifier(name) }
    /// For messages; parts are quoted where necessary.
    public var description: String { "\(plainIdentifier(schema)).\(plainIdentifier(name))" }
    /// For messages: in quotation marks, unless a part has its own.
    public var quoted: String { inQuotationMarks(description) }

    public static func < (a: Self, b: Self) -> Bool { (a.schema, a.name) < (b.schema, b.name) }

    /// The same name with `suffix`, shortened so that PostgreSQL doesn't truncate the suffix.
    public func appending(_ suffix: String) -> TableName {
        TableName(schema: schema, name: shortened(name, toFit: suffix) + suffix)
    }

    /// The suffix of a restored table's name: the target time, `_20261105t085900z`; for times within one second, and
    /// targets that are no time, see `stamp(for:)`.
    static func stamp(_ moment: Moment) -> String {
        // `2026-11-05T08:59:00.000000Z`, of which only digits, t and z make an identifier that needs no quotes.
        let text = moment.iso8601
        let whole = text.prefix { $0 != "." && $0 != "Z" }
        return "_" + whole.filter { $0 != "-" && $0 != ":" }.lowercased() + "z"
    }
}

/// PostgreSQL's NAMEDATALEN, without the terminating zero.
let longestIdentifier = 63

/// `name` cut at a character's border so that it and `suffix` fit into an identifier.
func shortened(_ name: String, toFit suffix: String) -> String {
    var kept = name
    while kept.utf8.count + suffix.utf8.count > longestIdentifier && !kept.isEmpty { kept.removeLast() }
    return kept
}
