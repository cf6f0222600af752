extension Grammar {
    /// The command's manual page in man(7) macros.
    public func manualPage(version: String) -> String {
        var page = ".TH TIDEMARK-\(command.uppercased()) 1 \"\" \"tidemark \(version)\" \"tidemark manual\"\n"
        page += ".SH NAME\ntidemark\\-\(roff(command)) \\- \(roff(summary))\n"
        page += ".SH SYNOPSIS\n.B \(roff(synopsis))\n"
        page += ".SH DESCRIPTION\n" + description.map { roff($0) + "\n" }.joined(separator: ".PP\n")
        if description.isEmpty { page += roff(summary) + ".\n" }
        if !words.isEmpty {
            page += ".SH ARGUMENTS\n" + words.map { ".TP\n.I \(roff($0.name))\n\(roff($0.help))\n" }.joined()
        }
        page += ".SH OPTIONS\n"
        for option in options + Grammar.common {
            page += ".TP\n.B \(roff(Grammar.spelling(option).drop { $0 == " " }))\n\(roff(option.help))\n"
        }
        page += ".PP\nEvery setting is a flag as well:\n"
        for option in settingOptions {
            page += ".TP\n.B \(roff(Grammar.spelling(option).drop { $0 == " " }))\n\(roff(option.help))\n"
        }
        page += ".SH EXIT STATUS\n" + allExits.map { ".TP\n.B \($0.status)\n\(roff($0.meaning))\n" }.joined()
        if !examples.isEmpty {
            page += ".SH EXAMPLES\n"
            for example in examples {
                page += "\(roff(example.meaning)):\n.PP\n.nf\n.RS\n\(roff(example.line))\n.RE\n.fi\n.PP\n"
            }
        }
        page += ".SH FILES\n.TP\n.I /etc/tidemark/tidemark.conf\nconfiguration file\n"
        page += ".SH SEE ALSO\n.BR tidemark (1)\n"
        return page
    }
}

/// Text safe between roff macros: backslashes and hyphens escaped, no line starts with a control character.
private func roff(_ text: some StringProtocol) -> String {
    let escaped = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
    return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
}

extension StringProtocol {
    fileprivate func replacing(_ character: Character, with other: String) -> String {
        reduce(into: "") { $0 += $1 == character ? other : String($1) }
    }
}
