/// `text` as a JSON string with its quotes; for the lean executable, which has no Foundation, and for large numbers of
/// them.
public func quotedForJSON(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": quoted += "\\\""
        case "\\": quoted += "\\\\"
        case "\n": quoted += "\\n"
        case _ where scalar.value < 0x20: quoted += "\\u" + padded(scalar.value, to: 4, radix: 16)
        default: quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}
