/// `word` for a POSIX shell, quoted only when necessary.
public func shellQuoted(_ word: String) -> String {
    let harmless = word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+:=,@%".contains($0)) }
    return harmless && !word.isEmpty ? word : inShellQuotes(word)
}

/// `word` for a POSIX shell, always quoted.
public func inShellQuotes(_ word: String) -> String { "'" + escaped(word) { $0 == "'" ? "'\\''" : nil } + "'" }
