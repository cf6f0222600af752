import Platform

/// One line of `pg_restore --list`: `215; 1259 16400 TABLE public orders alice`.
struct ContentsEntry: Sendable, Hashable {
    let line: String
    /// `TABLE`, `FK CONSTRAINT`, `SEQUENCE OWNED BY`…
    let kind: String
    /// The rest of the line: schema, name, owner.
    let rest: String

    /// Longer kinds first: each is compared with the start of the text after the numbers.
    private static let kinds = [
        "FK CONSTRAINT", "CHECK CONSTRAINT", "CONSTRAINT", "TABLE ATTACH", "TABLE DATA", "TABLE", "INDEX ATTACH",
        "INDEX",
        "SEQUENCE OWNED BY", "SEQUENCE SET", "SEQUENCE", "DEFAULT", "TRIGGER", "RULE", "POLICY", "ROW SECURITY",
        "PUBLICATION TABLES IN SCHEMA", "PUBLICATION TABLE", "STATISTICS DATA", "STATISTICS", "SECURITY LABEL",
        "COMMENT",
        "DEFAULT ACL", "ACL", "SCHEMA", "TYPE",
    ].sorted { $0.utf8.count > $1.utf8.count }

    init?(_ line: String) {
        guard !line.hasPrefix(";"), let semicolon = line.firstIndex(of: ";") else { return nil }
        let words = line[line.index(after: semicolon)...].split(separator: " ", maxSplits: 2)
        guard words.count == 3 else { return nil }
        let text = String(words[2])
        guard let kind = ContentsEntry.kinds.first(where: { text.hasPrefix($0 + " ") }) else {
            self.init(line: line, kind: String(text.prefix { $0 != " " }), rest: text)
            return
        }
        self.init(line: line, kind: kind, rest: String(text.dropFirst(kind.utf8.count + 1)))
    }

    private init(line: String, kind: String, rest: String) { (self.line, self.kind, self.rest) = (line, kind, rest) }
}

/// The parts of a table's definition that a copy of it gets.
public struct SchemaParts: Sendable, Equatable {
    public var foreignKeys: Bool
    /// Triggers, rules, and the policies of row-level security.
    public var triggers: Bool
    /// Views over the table that don't exist any more.
    public var views: Bool

    public init(foreignKeys: Bool = false, triggers: Bool = false, views: Bool = false) {
        (self.foreignKeys, self.triggers, self.views) = (foreignKeys, triggers, views)
    }

    func includes(_ entry: ContentsEntry) -> Bool {
        switch entry.kind {
        case "FK CONSTRAINT": foreignKeys
        // Row-level security stays on without its policies: users with privileges on the table don't see rows that
        // these hid.
        case "TRIGGER", "RULE", "POLICY": triggers
        // Grants have a script of their own.
        case "ACL", "DEFAULT ACL", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA", "STATISTICS DATA", "TABLE DATA",
            "SEQUENCE SET", "SECURITY LABEL", "SCHEMA":
            false
        case "COMMENT":
            // A comment is included with its object: `public TRIGGER audit ON orders alice`.
            if let about = entry.rest.split(separator: " ", maxSplits: 1).last {
                !(about.hasPrefix("TRIGGER ") || about.hasPrefix("RULE ") || about.hasPrefix("POLICY ")) || triggers
            } else {
                true
            }
        default: true
        }
    }

    /// The parts that a copy doesn't get, for messages: `foreign key orders_customer_fkey`.
    func leftOut(_ entries: [ContentsEntry]) -> [String] {
        entries.compactMap { entry in
            guard !includes(entry) else { return nil }
            let words = entry.rest.split(separator: " ")
            let name = words.dropFirst().dropLast().joined(separator: " ")
            switch entry.kind {
            case "FK CONSTRAINT": return "foreign key \(name)"
            case "TRIGGER": return "trigger \(name)"
            case "RULE": return "rule \(name)"
            case "POLICY": return "row-level security policy \(name)"
            default: return nil
            }
        }
    }
}
