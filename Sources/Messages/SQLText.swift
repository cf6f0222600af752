/// An identifier in quotation marks, `"Ta""ble"`, which SQL accepts for every name.
public func quotedIdentifier(_ name: String) -> String {
    "\"" + escaped(name) { $0 == "\"" ? "\"\"" : nil } + "\""
}

/// An identifier, quoted only when necessary. Keywords stay unquoted, so it is for messages and tidemark's options, not
/// for statements.
public func plainIdentifier(_ name: String) -> String {
    let isPlain =
        name.first.map { $0 == "_" || $0.isLetter } == true
        && name.allSatisfy { $0 == "_" || ($0.isLetter && $0.isLowercase) || $0.isNumber }
    return isPlain ? name : quotedIdentifier(name)
}

/// A name of several parts in quotation marks, unless one of the parts has its own.
public func inQuotationMarks(_ name: String) -> String {
    name.unicodeScalars.contains("\"") ? name : "\"\(name)\""
}

/// A string constant that is valid for any value of standard_conforming_strings.
public func quotedLiteral(_ text: String) -> String {
    let quoted = "'" + escaped(text) { $0 == "'" ? "''" : $0 == "\\" ? "\\\\" : nil } + "'"
    return text.unicodeScalars.contains("\\") ? "E" + quoted : quoted
}
