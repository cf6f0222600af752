/// A configuration file: postgresql.conf's lines under `[section]` headings.
///
///     # applies to every cluster
///     compress_level = 3
///     [cluster "main"]
///     data_directory = '/var/lib/postgresql/15/main'
///     archive_timeout = 5min
public struct Settings: Equatable, Sendable {
    public struct Entry: Equatable, Sendable {
        public let section: String
        public let name: String
        public let value: String
        public let line: Int
    }
    public struct Mistake: Error, Equatable, CustomStringConvertible {
        public let file: String
        public let line: Int
        public let problem: String
        public var description: String { "\(file):\(line): \(problem)" }
    }

    public private(set) var entries: [Entry] = []

    public init(parsing text: String, file: String) throws(Mistake) {
        var section = ""
        for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = index + 1
            func fail(_ problem: String) -> Mistake { Mistake(file: file, line: line, problem: problem) }
            var rest = raw.drop(while: \.isWhitespace)
            guard let first = rest.first, first != "#" else { continue }
            if first == "[" {
                guard let close = rest.firstIndex(of: "]") else { throw fail("\"]\" missing") }
                section = rest[rest.index(after: rest.startIndex)..<close].filter { $0 != "\"" }
                guard isBlank(rest[rest.index(after: close)...]) else { throw fail("text after \"]\"") }
                continue
            }
            let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            guard !name.isEmpty else { throw fail("setting name expected, found \"\(first)\"") }
            rest = rest.dropFirst(name.count).drop(while: \.isWhitespace)
            if rest.first == "=" { rest = rest.dropFirst().drop(while: \.isWhitespace) }
            let value: String
            if rest.first == "'" {
                guard let (quoted, after) = unquote(rest) else { throw fail("closing quote missing after \(name)") }
                (value, rest) = (quoted, after)
            } else {
                let bare = rest.prefix { !$0.isWhitespace && $0 != "#" }
                (value, rest) = (String(bare), rest.dropFirst(bare.count))
            }
            guard !value.isEmpty || raw.contains("''") else { throw fail("value missing for \(name)") }
            guard isBlank(rest) else { throw fail("text after the value of \(name); quote a value that has spaces") }
            entries.append(Entry(section: section, name: name.lowercased(), value: value, line: line))
        }
    }
}

private func isBlank(_ text: Substring) -> Bool {
    let rest = text.drop(while: \.isWhitespace)
    return rest.isEmpty || rest.first == "#"
}

private func unquote(_ text: Substring) -> (String, Substring)? {
    var value = ""
    var rest = text.dropFirst()
    while let c = rest.first {
        rest = rest.dropFirst()
        switch c {
        case "'" where rest.first == "'":
            value.append("'")
            rest = rest.dropFirst()
        case "'": return (value, rest)
        case "\\":
            if let next = rest.first {
                value.append(next)
                rest = rest.dropFirst()
            }
        default: value.append(c)
        }
    }
    return nil
}

public enum Quantity {
    /// `256MB`, `1GB`, `8kB`; a bare number counts bytes.  Units are powers of 1024, case-sensitive, as in postgresql.conf.
    public static func bytes(_ text: String) -> Int64? {
        scaled(text, ["": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40])
    }
    /// `30s`, `5min`, `12h`, `7d`; result in milliseconds; a bare number counts seconds.
    public static func milliseconds(_ text: String) -> Int64? {
        scaled(text, ["": 1000, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000])
    }

    private static func scaled(_ text: String, _ units: [String: Int64]) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop(while: \.isWhitespace)
        guard let number = Int64(digits), let factor = units[String(unit)] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }
}
