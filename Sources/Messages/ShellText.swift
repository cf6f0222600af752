/// `word` as a POSIX shell needs it.
public func shellQuoted(_ word: String) -> String {
    let harmless = word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+:=,@%".contains($0)) }
    if harmless && !word.isEmpty { return word }
    return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
