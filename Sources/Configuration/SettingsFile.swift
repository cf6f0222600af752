public import Platform

/// A mistake in a configuration file, reported as compilers do: `file:line: message`.
public struct SettingsMistake: Explained, Equatable {
    public let file: String
    /// Counted from 1; 0 when something is missing.
    public let line: Int
    public let problem: String
    public let hint: String?

    public init(file: String, line: Int, problem: String, hint: String? = nil) {
        self.file = file
        self.line = line
        self.problem = problem
        self.hint = hint
    }

    public var message: String { line > 0 ? "\(file):\(line): \(problem)" : "\(file): \(problem)" }
}

/// A configuration file: postgresql.conf's lines under `[section]` headings, without a check of names and values.
///
///     # applies to every cluster
///     compress_level = 3
///     [cluster main]
///     data_directory = '/var/lib/postgresql/15/main'
public struct SettingsFile: Equatable, Sendable {
    public struct Entry: Equatable, Sendable {
        public let name: String
        public let value: String
        public let line: Int
    }
    public struct Section: Equatable, Sendable {
        /// Empty for the lines above the first heading.
        public let title: String
        public let line: Int
        public var entries: [Entry] = []
    }

    /// In the file's order; the first is the untitled one.
    public private(set) var sections = [Section(title: "", line: 0)]

    public init(parsing text: String, file: String) throws(SettingsMistake) {
        // By bytes, so that CRLF line ends are accepted.
        for (index, bytes) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        {
            var raw = Substring(bytes)
            if raw.utf8.last == UInt8(ascii: "\r") { raw = Substring(bytes.dropLast()) }
            try read(raw, Place(file: file, line: index + 1))
        }
    }

    private struct Place {
        let file: String
        let line: Int
        func fail(_ problem: String, hint: String? = nil) -> SettingsMistake {
            SettingsMistake(file: file, line: line, problem: problem, hint: hint)
        }
    }

    private mutating func read(_ raw: Substring, _ place: Place) throws(SettingsMistake) {
        var rest = raw.drop(while: \.isWhitespace)
        guard let first = rest.first, first != "#" else { return }
        if first == "[" {
            guard let close = rest.firstIndex(of: "]") else { throw place.fail("\"]\" missing") }
            let inside = rest[rest.index(after: rest.startIndex)..<close]
            guard isBlank(rest[rest.index(after: close)...]) else { throw place.fail("text after \"]\"") }
            let title = inside.split(whereSeparator: \.isWhitespace).map(unquoted).joined(separator: " ")
            if let twin = sections.first(where: { $0.title == title }), !title.isEmpty {
                throw place.fail("section \"\(title)\" is already in line \(twin.line)")
            }
            sections.append(Section(title: title, line: place.line))
            return
        }
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        guard !name.isEmpty else { throw place.fail("setting name expected, found \"\(first)\"") }
        rest = rest.dropFirst(name.count).drop(while: \.isWhitespace)
        if rest.first == "=" { rest = rest.dropFirst().drop(while: \.isWhitespace) }
        let value: String
        let quoted = rest.first == "'"
        if quoted {
            guard let (inner, after) = unquote(rest) else { throw place.fail("closing quote missing after \(name)") }
            (value, rest) = (inner, after)
        } else {
            let bare = rest.prefix { !$0.isWhitespace && $0 != "#" }
            (value, rest) = (String(bare), rest.dropFirst(bare.count))
        }
        guard quoted || !value.isEmpty else { throw place.fail("value missing for \(name)") }
        guard isBlank(rest) else {
            throw place.fail("text after the value of \(name)", hint: "Quote a value that has spaces: \(name) = '…'.")
        }
        let lowered = name.lowercased()
        if let twin = sections[sections.count - 1].entries.first(where: { $0.name == lowered }) {
            throw place.fail("\(lowered) is already in line \(twin.line)")
        }
        sections[sections.count - 1].entries.append(Entry(name: lowered, value: value, line: place.line))
    }
}

/// A word of a heading without its quotation marks; one within it is part of it.
private func unquoted(_ word: Substring) -> Substring {
    word.count > 2 && word.hasPrefix("\"") && word.hasSuffix("\"") ? word.dropFirst().dropLast() : word
}

private func isBlank(_ text: Substring) -> Bool {
    let rest = text.drop(while: \.isWhitespace)
    return rest.isEmpty || rest.first == "#"
}

/// The content of a quoted value, and the rest of the line; `''` and `\'` stand for a quote, as in postgresql.conf.
private func unquote(_ text: Substring) -> (String, Substring)? {
    var value = ""
    var rest = text.dropFirst()
    while let next = rest.popFirst() {
        switch next {
        case "'" where rest.first == "'": value.append(rest.removeFirst())
        case "'": return (value, rest)
        case "\\": if let escaped = rest.popFirst() { value.append(escaped) }
        default: value.append(next)
        }
    }
    return nil
}
