import Platform

/// A result for people: each of these lines is one line, whatever names are in it. Names of tables, files and
/// directories are other people's, and one with a newline in it would forge a line.
func joined(_ lines: [String]) -> String { lines.map { printable($0) }.joined(separator: "\n") }
