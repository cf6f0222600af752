public import Platform

/// The tables to recover: `database.schema.table`, with names as in SQL, and `*` and `?` in parts that aren't quoted.
///
/// Unquoted letters are folded to lower case as PostgreSQL folds them (ASCII only); `"…"` keeps a part as it is, with
/// `""` for a quotation mark.
public struct TablePattern: Hashable, Sendable {
    /// A name, or a pattern for names.
    public struct Part: Hashable, Sendable {
        private enum Piece: Hashable, Sendable {
            case text(String)
            case anyCharacter
            case anything
        }
        private let pieces: [Piece]

        /// Exactly this name.
        public init(_ name: String) { pieces = [.text(name)] }
        /// Every name.
        public static let any = Part([.anything])
        private init(_ pieces: [Piece]) { self.pieces = pieces }

        /// The name, if it isn't a pattern; else nil.
        public var name: String? {
            var name = ""
            for piece in pieces {
                guard case .text(let text) = piece else { return nil }
                name += text
            }
            return name
        }

        /// As SQL and `init` read it.
        var text: String {
            pieces.map { piece in
                switch piece {
                case .text(let text): "\"\(text.replacing("\"", with: "\"\""))\""
                case .anyCharacter: "?"
                case .anything: "*"
                }
            }.joined()
        }

        public func matches(_ name: String) -> Bool {
            Part.matches(pieces[...], Array(name)[...])
        }

        private static func matches(_ pieces: ArraySlice<Piece>, _ rest: ArraySlice<Character>) -> Bool {
            guard let piece = pieces.first else { return rest.isEmpty }
            let following = pieces.dropFirst()
            switch piece {
            case .text(let text):
                return rest.starts(with: text) && matches(following, rest.dropFirst(text.count))
            case .anyCharacter:
                return !rest.isEmpty && matches(following, rest.dropFirst())
            case .anything:
                return (0...rest.count).contains { matches(following, rest.dropFirst($0)) }
            }
        }

        /// Reads one part from the front of `text`, up to a dot or the end.
        fileprivate init(reading text: inout Substring, of whole: String) throws(BadTablePattern) {
            var pieces: [Piece] = []
            var literal = ""
            func flush() {
                if !literal.isEmpty { pieces.append(.text(literal)) }
                literal = ""
            }
            // By Unicode scalars, as PostgreSQL reads it: an accent may combine with a quotation mark to one
            // `Character`.
            var rest = text.unicodeScalars
            defer { text = Substring(rest) }
            while let scalar = rest.first, scalar != "." {
                rest.removeFirst()
                switch scalar {
                case "\"":
                    while true {
                        guard let next = rest.popFirst() else {
                            throw BadTablePattern(whole, "A quotation mark is not closed.")
                        }
                        if next != "\"" {
                            literal.unicodeScalars.append(next)
                        } else if rest.first == "\"" {
                            literal.unicodeScalars.append(rest.removeFirst())
                        } else {
                            break
                        }
                    }
                case "*":
                    flush()
                    pieces.append(.anything)
                case "?":
                    flush()
                    pieces.append(.anyCharacter)
                default:
                    let character = Character(scalar)
                    let isOrdinary =
                        !scalar.isASCII || character.isLetter || character.isNumber || character == "_"
                        || character == "$"
                    guard isOrdinary else {
                        throw BadTablePattern(whole, "A name with \"\(character)\" in it must be quoted.")
                    }
                    literal += scalar.isASCII ? character.lowercased() : String(scalar)
                }
            }
            flush()
            guard !pieces.isEmpty else { throw BadTablePattern(whole, "A part of it is empty.") }
            self.init(pieces)
        }
    }

    public let database: String
    public let schema: Part
    public let table: Part

    public init(database: String, schema: Part, table: Part) {
        (self.database, self.schema, self.table) = (database, schema, table)
    }

    /// - Parameters:
    ///   - text: `database.schema.table`; the database may be omitted when `database` names it.
    public init(_ text: String, database: String? = nil) throws(BadTablePattern) {
        var rest = text[...]
        var parts = [try Part(reading: &rest, of: text)]
        while rest.unicodeScalars.popFirst() == "." { parts.append(try Part(reading: &rest, of: text)) }
        switch (parts.count, database) {
        case (3, _):
            guard let name = parts[0].name else {
                throw BadTablePattern(text, "The database must be named in full, without wildcards.")
            }
            if let database, name != database {
                throw BadTablePattern(text, "It is not in database \"\(database)\", which --database names.")
            }
            self.init(database: name, schema: parts[1], table: parts[2])
        case (2, let database?):
            self.init(database: database, schema: parts[0], table: parts[1])
        default:
            throw BadTablePattern(text, "It has \(parts.count) part\(parts.count == 1 ? "" : "s").")
        }
    }

    /// A table's name alone: `schema.table`.
    public static func name(_ text: String) throws(BadTablePattern) -> TableName {
        var rest = text[...]
        var parts = [try Part(reading: &rest, of: text)]
        while rest.unicodeScalars.popFirst() == "." { parts.append(try Part(reading: &rest, of: text)) }
        guard parts.count == 2, let schema = parts[0].name, let name = parts[1].name else {
            throw BadTablePattern(text, parts.count == 2 ? "It is a pattern." : "It does not have two parts.")
        }
        return TableName(schema: schema, name: name)
    }

    /// As `init` reads it.
    public var text: String { [Part(database), schema, table].map(\.text).joined(separator: ".") }

    /// Every table of a database.
    public static func everything(in database: String) -> TablePattern {
        TablePattern(database: database, schema: .any, table: .any)
    }

    /// Whether it has no wildcard; only then a missing table is an error.
    public var isExact: Bool { schema.name != nil && table.name != nil }

    /// The one table that is meant; nil when a wildcard is in it.
    public var exactName: TableName? {
        guard let schema = schema.name, let table = table.name else { return nil }
        return TableName(schema: schema, name: table)
    }

    public func matches(schema: String, table: String) -> Bool {
        self.schema.matches(schema) && self.table.matches(table)
    }

    /// Whether it matches a table of this name in some schema.
    func matches(table: String) -> Bool { self.table.matches(table) }
}

/// A table's name that can't be parsed.
public struct BadTablePattern: Explained, Equatable {
    public let pattern: String
    public let reason: String
    init(_ pattern: String, _ reason: String) { (self.pattern, self.reason) = (pattern, reason) }
    public var message: String { "cannot understand the table name \"\(pattern)\"" }
    public var detail: String? { reason }
    public var hint: String? {
        "Write database.schema.table, for example shop.public.orders, shop.public.* or 'shop.\"Sales 2026\".\"Order\"'."
    }
}
