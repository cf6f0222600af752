/// `word` as a POSIX shell needs it.
public func shellQuoted(_ word: String) -> String {
    let harmless = word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+:=,@%".contains($0)) }
    return harmless && !word.isEmpty ? word : inShellQuotes(word)
}

/// The same, in quotes in any case.
public func inShellQuotes(_ word: String) -> String { "'" + escaped(word) { $0 == "'" ? "'\\''" : nil } + "'" }
