import Configuration

enum HelpCommand: Command {
    static let grammar = Grammar(
        "help", "explain a command, or list them all",
        words: [Grammar.Word("COMMAND", count: .optional, "the command to explain")],
        options: [
            Grammar.Option("man", "print the manual page instead (troff)"),
            Grammar.Option("completions", value: "SHELL", "print completions for bash, zsh or fish"),
            Grammar.Option("list", "print the names of all commands, one a line"),
        ],
        examples: [
            Grammar.Example("tidemark help recover", "what recover does and takes"),
            Grammar.Example("tidemark help recover --man | man -l -", "the same as a manual page"),
        ])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        if invocation.arguments.has("list") {
            invocation.print(Commands.grammars.map(\.command).joined(separator: "\n"))
            return .success
        }
        if let name = invocation.arguments.value("completions") {
            guard let shell = CompletionShell(rawValue: name) else {
                throw UsageError("option --completions takes bash, zsh or fish, not \"\(name)\"")
            }
            writeToStandardOutput(completions(for: shell, grammars: Commands.grammars))
            return .success
        }
        guard let name = invocation.arguments.words.first else {
            writeToStandardOutput(invocation.arguments.has("man") ? overviewManualPage : overview)
            return .success
        }
        guard let grammar = Commands.grammars.first(where: { $0.command == name }) else {
            throw UsageError(
                "unknown command \"\(name)\"", hint: Commands.meant(by: name).map { "Did you mean \"\($0)\"?" })
        }
        writeToStandardOutput(
            invocation.arguments.has("man") ? grammar.manualPage(version: CommandLineTool.version) : grammar.help)
        return .success
    }

    private static var groups: [(title: String, grammars: [Grammar])] {
        [("PostgreSQL calls", [Grammar.archivePush, .archiveGet, .recoveryEnd])]
            + Commands.groups.map { ($0.title, $0.commands.map { $0.grammar }) }
    }

    static var overview: String {
        var text =
            "tidemark archives a PostgreSQL cluster's WAL, takes base backups, and recovers to any moment in between.\n"
        text += "\nUsage:\n  tidemark COMMAND [OPTION]…\n"
        for group in groups {
            text += "\n\(group.title):\n"
            for grammar in group.grammars {
                text +=
                    "  \(grammar.command)\(String(repeating: " ", count: max(1, 16 - grammar.command.count)))\(grammar.summary)\n"
            }
        }
        text += "\n\"tidemark COMMAND --help\" explains a command. Configuration: \(Configuration.standardPath)\n"
        return text
    }

    private static var overviewManualPage: String {
        var page = ".TH TIDEMARK 1 \"\" \"tidemark \(CommandLineTool.version)\" \"tidemark manual\"\n"
        page +=
            ".SH NAME\ntidemark \\- point\\-in\\-time recovery for PostgreSQL\n.SH SYNOPSIS\n.B tidemark COMMAND [OPTION]...\n"
        page +=
            ".SH DESCRIPTION\ntidemark archives a PostgreSQL cluster's write\\-ahead log, takes base backups, and brings the "
        page += "cluster back to any moment in between.\n.SH COMMANDS\n"
        for group in groups {
            page += ".SS \(group.title)\n"
            for grammar in group.grammars {
                page += ".TP\n.BR tidemark\\-\(grammar.command.manualSafe) (1)\n\(grammar.summary.manualSafe)\n"
            }
        }
        return page + ".SH FILES\n.TP\n.I /etc/tidemark/tidemark.conf\nconfiguration file\n"
    }
}

extension String {
    fileprivate var manualSafe: String { reduce(into: "") { $0 += $1 == "-" ? "\\-" : String($1) } }
}
