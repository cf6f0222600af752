import Platform
public import Postgres

/// A condition that a rehearsed recovery must meet.
public enum DrillCheck: Hashable, Sendable {
    /// A query; every column of every row must be true.
    case query(String)
    /// A table that must have at least this many rows.
    case rows(schema: String, table: String, atLeast: Int64)

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

    /// Reads `drill_min_rows`: `schema.table=number`, separated by commas; names as SQL writes them.
    /// - Throws: `Problem`.
    public static func minimums(_ text: String) throws -> [DrillCheck] {
        guard text.contains(where: { !$0.isWhitespace }) else { return [] }
        var rest = Substring(text)
        var checks: [DrillCheck] = []
        repeat {
            guard let schema = identifier(&rest), take(".", &rest), let table = identifier(&rest), take("=", &rest),
                let number = number(&rest), rest.isEmpty || rest.first == ","
            else {
                throw Problem(
                    "drill_min_rows must be a list of schema.table=number, not \"\(printable(text))\"",
                    hint: "Write names as in SQL: one with capitals or signs in double quotes.")
            }
            checks.append(.rows(schema: schema, table: table, atLeast: number))
        } while take(",", &rest)
        return checks
    }

    /// An SQL identifier as the server stores it: folded unless it is quoted.
    private static func identifier(_ rest: inout Substring) -> String? {
        rest = rest.drop { $0.isWhitespace }
        guard rest.first == "\"" else {
            let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "$" }
            guard let first = word.first, first.isLetter || first == "_" else { return nil }
            rest = rest.dropFirst(word.count).drop { $0.isWhitespace }
            // Non-ASCII letters are folded only in some encodings.
            return String(word.map { $0.isASCII ? Character($0.lowercased()) : $0 })
        }
        rest = rest.dropFirst()
        var name = ""
        while let character = rest.popFirst() {
            if character != "\"" {
                name.append(character)
            } else if rest.first == "\"" {
                name.append(rest.removeFirst())
            } else {
                rest = rest.drop { $0.isWhitespace }
                return name.isEmpty || name.contains("\0") ? nil : name
            }
        }
        return nil
    }

    private static func number(_ rest: inout Substring) -> Int64? {
        rest = rest.drop { $0.isWhitespace }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(digits.count).drop { $0.isWhitespace }
        return Int64(digits)
    }

    private static func take(_ sign: Character, _ rest: inout Substring) -> Bool {
        guard rest.first == sign else { return false }
        rest = rest.dropFirst()
        return true
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
            case .rows(let schema, let table, let minimum):
                let place = "\(quotedIdentifier(schema)).\(quotedIdentifier(table))"
                let count = try connection.query("SELECT count(*) FROM \(place)").scalar.flatMap { Int64($0) } ?? 0
                let table = DrillCheck.shown(schema, table)
                return count < minimum
                    ? "Table \(table) has \(counted(count, "row")); at least \(minimum) were expected." : nil
            }
        } catch {
            return "\(name) failed: \(error.reason)."
        }
    }

    public var name: String {
        switch self {
        case .query(let sql):
            "Query \"\(sql.split { $0.isWhitespace }.joined(separator: " "))\""
        case .rows(let schema, let table, _): "Counting \(DrillCheck.shown(schema, table))"
        }
    }

    private static func shown(_ schema: String, _ table: String) -> String {
        printable("\(plainIdentifier(schema)).\(plainIdentifier(table))")
    }
}
