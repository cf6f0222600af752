import Platform

/// The shells `tidemark help --completions` writes for.
public enum CompletionShell: String, Sendable, CaseIterable {
    case bash
    case zsh
    case fish
}

/// Completions for a shell, from the grammars that parse the command lines, so that they offer what is accepted.
///
public func completions(for shell: CompletionShell, grammars: [Grammar]) -> String {
    switch shell {
    case .bash: bashCompletions(grammars)
    case .zsh: zshCompletions(grammars)
    case .fish: fishCompletions(grammars)
    }
}

/// The kind of value that an option takes.
private enum Operand {
    case file
    case directory
    case cluster
    case words([String])
    case anything
}

extension Grammar.Option {
    fileprivate var operand: Operand {
        if name == "cluster" { return .cluster }
        if let setting = Setting.flags.first(where: { $0.flag == name }) {
            switch setting.kind {
            case .path, .location: return .directory
            case .choice(let words): return .words(words)
            case .boolean: return .words(["on", "off"])
            default: return .anything
            }
        }
        switch value {
        case "FILE", "PATH", "DUMP": return .file
        case "DIR", "DIRECTORY": return .directory
        default: return .anything
        }
    }
}

/// Lists the clusters in the configuration that the command line names, or in the default one.
private let clusterNames =
    "tidemark settings 2>/dev/null | awk -F'|' 'NR > 2 { gsub(/ /, \"\", $1); if ($1 !~ /^\\[/) print $1 }' | sort -u"

private func all(_ grammar: Grammar) -> [Grammar.Option] { grammar.options + Grammar.common + grammar.settingOptions }

private func bashCompletions(_ grammars: [Grammar]) -> String {
    var text = """
        # bash completion for tidemark, written by "tidemark help --completions bash".
        _tidemark() {
            local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
            COMPREPLY=()
            if [ "$COMP_CWORD" = 1 ]; then
                COMPREPLY=($(compgen -W '\(grammars.map(\.command).joined(separator: " "))' -- "$word"))
                return
            fi
            case $command$previous in

        """
    for grammar in grammars {
        for option in all(grammar) where option.value != nil {
            let spellings = (["--\(option.name)"] + (option.letter.map { ["-\($0)"] } ?? []))
                .map { grammar.command + $0 }.joined(separator: "|")
            let reply: String? =
                switch option.operand {
                case .file: "COMPREPLY=($(compgen -f -- \"$word\"))"
                case .directory: "COMPREPLY=($(compgen -d -- \"$word\"))"
                case .cluster: "COMPREPLY=($(compgen -W \"$(\(clusterNames))\" -- \"$word\"))"
                case .words(let words): "COMPREPLY=($(compgen -W '\(words.joined(separator: " "))' -- \"$word\"))"
                case .anything: nil
                }
            text += "        \(spellings)) \(reply.map { $0 + "; " } ?? "")return ;;\n"
        }
    }
    text += "    esac\n    case $command in\n"
    for grammar in grammars {
        let options = all(grammar).map { "--\($0.name)" }.joined(separator: " ")
        let words =
            grammar.command == "help"
            ? "COMPREPLY=($(compgen -W '\(grammars.map(\.command).joined(separator: " "))' -- \"$word\"))"
            : grammar.words.isEmpty ? ":" : "COMPREPLY=($(compgen -f -- \"$word\"))"
        text += "        \(grammar.command))\n            case $word in\n"
        text += "                -*) COMPREPLY=($(compgen -W '\(options)' -- \"$word\")) ;;\n"
        text += "                *) \(words) ;;\n            esac ;;\n"
    }
    return text + "    esac\n}\ncomplete -o filenames -F _tidemark tidemark\n"
}

private func zshCompletions(_ grammars: [Grammar]) -> String {
    func quoted(_ text: String) -> String {
        text.reduce(into: "") {
            switch $1 {
            case "'": $0 += "'\\''"
            case "[", "]", ":", "\\": $0 += "\\\($1)"
            default: $0.append($1)
            }
        }
    }
    var text = """
        #compdef tidemark
        # zsh completion for tidemark, written by "tidemark help --completions zsh".
        _tidemark_clusters() { compadd -- ${(f)"$(\(clusterNames))"} }
        _tidemark() {
            local -a commands
            commands=(

        """
    for grammar in grammars { text += "        '\(grammar.command):\(quoted(grammar.summary))'\n" }
    text += """
            )
            if (( CURRENT == 2 )); then
                _describe command commands
                return
            fi
            local command=$words[2]
            shift words
            (( CURRENT-- ))
            case $command in

        """
    for grammar in grammars {
        text += "        \(grammar.command)) _arguments"
        for option in all(grammar) {
            let action =
                option.value.map { name -> String in
                    switch option.operand {
                    case .file: ":\(name):_files"
                    case .directory: ":\(name):_files -/"
                    case .cluster: ":\(name):_tidemark_clusters"
                    case .words(let words): ":\(name):(\(words.joined(separator: " ")))"
                    case .anything: ":\(name): "
                    }
                } ?? ""
            let repeats = option.repeats ? "*" : ""
            text +=
                " \\\n            '\(repeats)--\(option.name)\(option.value == nil ? "" : "=")[\(quoted(option.help))]\(action)'"
        }
        if grammar.command == "help" {
            text += " \\\n            '1:command:(\(grammars.map(\.command).joined(separator: " ")))'"
        } else if !grammar.words.isEmpty {
            text += " \\\n            '*:\(quoted(grammar.words[0].name)):_files'"
        }
        text += " ;;\n"
    }
    return text + "    esac\n}\n_tidemark \"$@\"\n"
}

private func fishCompletions(_ grammars: [Grammar]) -> String {
    func quoted(_ text: String) -> String {
        "'" + escaped(text) { $0 == "'" || $0 == "\\" ? "\\\($0)" : nil } + "'"
    }
    var text =
        "# fish completion for tidemark, written by \"tidemark help --completions fish\".\ncomplete -c tidemark -f\n"
    for grammar in grammars {
        text +=
            "complete -c tidemark -n __fish_use_subcommand -a \(grammar.command) -d \(quoted(grammar.summary))\n"
    }
    for grammar in grammars {
        let seen = "-n '__fish_seen_subcommand_from \(grammar.command)'"
        for option in all(grammar) {
            let letter = option.letter.map { " -s \($0)" } ?? ""
            let operand =
                option.value == nil
                ? ""
                : {
                    switch option.operand {
                    case .file: " -r -F"
                    case .directory: " -x -a '(__fish_complete_directories)'"
                    case .cluster: " -x -a \(quoted("(\(clusterNames))"))"
                    case .words(let words): " -x -a \(quoted(words.joined(separator: " ")))"
                    case .anything: " -x"
                    }
                }()
            text += "complete -c tidemark \(seen)\(letter) -l \(option.name)\(operand) -d \(quoted(option.help))\n"
        }
        if !grammar.words.isEmpty {
            let words =
                grammar.command == "help" ? " -a \(quoted(grammars.map(\.command).joined(separator: " ")))" : " -F"
            text += "complete -c tidemark \(seen)\(words)\n"
        }
    }
    return text
}
