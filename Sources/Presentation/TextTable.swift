import Platform

/// Columns aligned as in psql: a heading, a rule, and rows.
struct TextTable {
    enum Alignment {
        case left
        case right
    }
    private let headings: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    init(_ headings: [String], _ alignments: [Alignment] = []) {
        self.headings = headings
        self.alignments = alignments
    }

    mutating func add(_ row: [String]) { rows.append(row.map { printable($0) }) }

    /// Without a newline at the end.
    var text: String { joined(lines) }

    var lines: [String] {
        let widths = headings.indices.map { column in
            rows.map { $0[column].count }.reduce(headings[column].count, max)
        }
        func pad(_ text: String, _ column: Int) -> String {
            let fill = String(repeating: " ", count: widths[column] - text.count)
            return column < alignments.count && alignments[column] == .right ? fill + text : text + fill
        }
        func line(_ row: [String]) -> String {
            var line = " " + row.indices.map { pad(row[$0], $0) }.joined(separator: " | ")
            while line.last == " " { line.removeLast() }
            return line
        }
        let rule = widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "+")
        return [line(headings), rule] + rows.map(line)
    }
}
