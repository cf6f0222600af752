/// Text from outside as a terminal or a log may show it: what could move the cursor, change colours, turn the direction of
/// writing or end the line is spelled out. Names in a database are chosen by whoever may create a table.
///
/// - Parameter keepingLines: for text of several lines that are ours.
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
        // The controls of ASCII and of Latin 1.
        case 0..<0x20, 0x7F..<0xA0: shown += "\\x" + hexadecimal(scalar.value, digits: 2)
        // What is written from right to left, separators of lines, and marks that can't be seen (Unicode Standard Annex 9).
        case 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB:
            shown += "\\u" + hexadecimal(scalar.value, digits: 4)
        default: shown.unicodeScalars.append(scalar)
        }
    }
    return shown
}

private func hexadecimal(_ value: UInt32, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}
