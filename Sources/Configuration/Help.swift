extension Grammar {
    /// `tidemark plan [OPTION]…`
    public var synopsis: String {
        (["tidemark \(command)"]
            + words.map {
                switch $0.count {
                case .one: $0.name
                case .optional: "[\($0.name)]"
                case .any: "[\($0.name)…]"
                }
            } + ["[OPTION]…"]).joined(separator: " ")
    }

    /// The output of `tidemark COMMAND --help`.
    public var help: String {
        var text = "tidemark \(command) - \(summary)\n\nUsage:\n  \(synopsis)\n"
        for paragraph in description { text += "\n" + wrap(paragraph, indent: "") }
        if !words.isEmpty {
            text += "\nArguments:\n" + table(words.map { ($0.name, $0.help) })
        }
        text += "\nOptions:\n" + table((options + Grammar.common).map { (Grammar.spelling($0), $0.help) })
        text +=
            "\nEvery setting can be given as a flag as well, for example --compress-level 1; see \"tidemark settings\".\n"
        if !examples.isEmpty {
            text += "\nExamples:\n"
            for example in examples { text += "  # \(example.meaning)\n  \(example.line)\n" }
        }
        text += "\nExit status:\n" + table(allExits.map { (String($0.status), $0.meaning) })
        return text
    }

    /// Every exit status of the command, with its meaning.
    public var allExits: [(status: Int32, meaning: String)] {
        var exits: [(status: Int32, meaning: String)] = [
            (0, "success"), (1, "failure"), (2, "usage or configuration error"),
        ]
        for exit in self.exits {
            exits.removeAll { $0.status == exit.status }
            exits.append(exit)
        }
        return exits.sorted { $0.status < $1.status }
    }

    static func spelling(_ option: Option) -> String {
        let long = "--\(option.name)" + (option.value.map { option.valueIsOptional ? "[=\($0)]" : " \($0)" } ?? "")
        return option.letter.map { "-\($0), \(long)" } ?? "    \(long)"
    }
}

private func table(_ rows: [(String, String)]) -> String {
    let width = min(30, rows.map(\.0.count).max() ?? 0)
    let indent = String(repeating: " ", count: width + 4)
    return rows.map { left, right in
        let body = wrap(right, indent: indent)
        return left.count > width
            ? "  \(left)\n\(body)"
            : "  \(left)\(String(repeating: " ", count: width - left.count + 2))\(body.dropFirst(indent.count))"
    }.joined()
}

/// Breaks at spaces so that no line is longer than 100 columns; ends with a newline.
func wrap(_ text: String, indent: String) -> String {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
        if !line.isEmpty && indent.count + line.count + 1 + word.count > 100 {
            lines.append(line)
            line = ""
        }
        line += (line.isEmpty ? "" : " ") + word
    }
    lines.append(line)
    return lines.map { indent + $0 + "\n" }.joined()
}
