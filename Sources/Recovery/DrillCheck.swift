import Platform
public import Postgres

/// What must hold in a rehearsed recovery.
public enum DrillCheck: Hashable, Sendable {
    /// A query whose every row's every column must be true.
    case query(String)
    /// A table that must have at least so many rows.
    case rows(table: String, atLeast: Int64)

    /// Reads `drill_sql`: queries, separated by semicolons outside of quotes.
    public static func queries(_ text: String) -> [DrillCheck] {
        var parts: [String] = [""]
        var quote: Character?
        for character in text {
            if quote == nil, character == ";" {
                parts.append("")
                continue
            }
            if character == quote {
                quote = nil
            } else if quote == nil, character == "'" || character == "\"" {
                quote = character
            }
            parts[parts.count - 1].append(character)
        }
        return parts.filter { $0.contains { !$0.isWhitespace } }.map { .query($0) }
    }

    /// Reads `drill_min_rows`: `schema.table=number`, separated by commas.
    /// - Throws: `Problem`.
    public static func minimums(_ text: String) throws -> [DrillCheck] {
        try text.split(separator: ",").map { part in
            let sides = part.split(separator: "=").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
            guard sides.count == 2, let number = Int64(sides[1]), sides[0].contains(".") else {
                throw Problem(
                    "drill_min_rows must be a list of schema.table=number, not \"\(text)\"")
            }
            return .rows(table: sides[0], atLeast: number)
        }
    }

    /// What is wrong, as a sentence; nil when nothing is.
    public func complaint(_ connection: Connection) -> String? {
        do throws(QueryFailure) {
            switch self {
            case .query(let sql):
                let rows = try connection.query(sql)
                if rows.isEmpty { return "\(name) returned no row." }
                let wrong = rows.values.joined().first { $0 != "t" }
                return wrong.map { "\(name) returned \($0 ?? "NULL") instead of true." }
            case .rows(let table, let minimum):
                let count = try connection.query("SELECT count(*) FROM \(table)").scalar.flatMap { Int64($0) } ?? 0
                return count < minimum ? "Table \(table) has \(count) rows; at least \(minimum) were expected." : nil
            }
        } catch {
            return "\(name) failed: \(error.reason)."
        }
    }

    public var name: String {
        switch self {
        case .query(let sql):
            "Query \"\(sql.split { $0.isWhitespace }.joined(separator: " "))\""
        case .rows(let table, _): "Counting \(table)"
        }
    }
}
