/// The log of a scratch server: warnings of missing pages by relation, and its last lines.
struct ScratchLog: Sendable {
    /// A relation's file in any tablespace: database and file number.
    struct Relation: Hashable, Sendable {
        /// 0 for shared catalogs.
        var database: UInt32
        var number: UInt32
    }
    /// How many pages of each relation replay missed.
    private(set) var missingPages: [Relation: Int] = [:]
    /// The last lines that aren't such warnings.
    private(set) var lines: [String] = []
    private var fragment = ""

    mutating func add(_ text: String) {
        var pieces = (fragment + text).split(separator: "\n", omittingEmptySubsequences: false)
        fragment = String(pieces.removeLast())
        for piece in pieces { add(line: piece) }
    }

    private mutating func add(line: Substring) {
        if let relation = ScratchLog.missingPage(in: line) {
            missingPages[relation, default: 0] += 1
        } else if !line.contains("WAL contains references to invalid pages"), !line.contains("restored log file"),
            !line.hasPrefix("CONTEXT:")
        {
            lines.append(String(line))
            if lines.count > 400 { lines.removeFirst(200) }
        }
    }

    /// `page 60 of relation base/16384/16385 is uninitialized`, `… does not exist`
    /// (src/backend/access/transam/xlogutils.c).
    static func missingPage(in line: some StringProtocol) -> Relation? {
        guard line.hasSuffix("is uninitialized") || line.hasSuffix("does not exist") else { return nil }
        let words = line.split(separator: " ")
        guard let page = words.firstIndex(of: "page"), words.count > page + 4, words[page + 2] == "of",
            words[page + 3] == "relation"
        else { return nil }
        let parts = words[page + 4].split(separator: "/")
        guard let number = parts.last.flatMap({ UInt32($0.prefix { $0.isNumber }) }), parts.count > 1 else {
            return nil
        }
        return Relation(database: UInt32(parts[parts.count - 2]) ?? 0, number: number)
    }

    /// Whether the server has logged the end of replay.
    var hasReplayed: Bool { lines.contains { $0.contains("redo done at") } }

    /// Whether the server has logged a fatal error.
    var hasFailed: Bool { lines.contains { $0.hasPrefix("FATAL:") || $0.hasPrefix("PANIC:") } }

    /// The server's last messages, for an error message.
    var lastWords: String {
        let telling = lines.filter { line in
            ["FATAL:", "PANIC:", "ERROR:", "DETAIL:", "HINT:"].contains { line.contains($0) }
        }
        return (telling.isEmpty ? lines : telling).suffix(4).joined(separator: " ")
    }
}
