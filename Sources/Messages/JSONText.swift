/// `text` as a JSON string with its quotes; for the lean executable, which has no Foundation, and for large numbers of
/// them. Characters that could change what a terminal shows are escaped.
public func quotedForJSON(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": quoted += "\\\""
        case "\\": quoted += "\\\\"
        case "\n": quoted += "\\n"
        case _ where isMisleading(scalar): quoted += "\\u" + padded(scalar.value, to: 4, radix: 16)
        default: quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}

/// JSON without characters that could change what a terminal shows. Outside of strings it has none.
public func withoutMisleadingCharacters(json: [UInt8]) -> [UInt8] {
    // Those of ASCII are escaped by every encoder but one, DEL.
    guard json.contains(where: { [0x7F, 0xC2, 0xD8, 0xE2, 0xEF].contains($0) }) else { return json }
    var text = ""
    for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
        if scalar.value >= 0x7F, isMisleading(scalar) {
            text += "\\u" + padded(scalar.value, to: 4, radix: 16)
        } else {
            text.unicodeScalars.append(scalar)
        }
    }
    return Array(text.utf8)
}
