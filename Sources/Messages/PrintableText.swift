/// Text from outside for a terminal or a log: characters that could move the cursor, change colours, reverse the
/// writing direction or end the line are escaped. Names in a database are chosen by its users.
///
/// - Parameter keepingLines: for tidemark's own text of several lines.
public func printable(_ text: String, keepingLines: Bool = false) -> String {
    let isHarmless = text.utf8.allSatisfy { (0x20...0x7E).contains($0) || (keepingLines && $0 == UInt8(ascii: "\n")) }
    if isHarmless { return text }
    var shown = ""
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0x0A where keepingLines: shown.unicodeScalars.append(scalar)
        case 0x0A: shown += "\\n"
        case 0x0D: shown += "\\r"
        case 0x09: shown += keepingLines ? "\t" : "\\t"
        case ..<0xA0 where isMisleading(scalar): shown += "\\x" + padded(scalar.value, to: 2, radix: 16)
        case _ where isMisleading(scalar): shown += "\\u" + padded(scalar.value, to: 4, radix: 16)
        default: shown.unicodeScalars.append(scalar)
        }
    }
    return shown
}

/// Whether a character could move a terminal's cursor, reverse the writing direction, end a line, or be invisible.
func isMisleading(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    // The control characters of ASCII and Latin 1.
    case 0..<0x20, 0x7F..<0xA0: true
    // Direction marks, line separators, and invisible marks (Unicode Standard Annex 9).
    case 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB: true
    default: false
    }
}
