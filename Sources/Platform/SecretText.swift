import Glibc

/// Masks the secrets in a text that is printed, logged, recorded or sent: those in the connection strings that this
/// process was given (`KnownSecrets`), passwords in any other, as keywords and in URIs, malformed strings included, and
/// the secrets in this process's environment. An ellipsis replaces each.
public func withoutSecrets(_ text: String) -> String {
    var text = text
    for secret in KnownSecrets.longestFirst + ownSecrets where text.contains(secret) {
        text = text.replacing(secret, with: "…")
    }
    guard text.contains("://") || text.contains("assword") || text.contains("ASSWORD") else { return text }
    return withoutKeywords(withoutCredentials(text))
}

/// Masks the password in `scheme://user:password@host`, between the colon and the last `@` of the authority.
private func withoutCredentials(_ text: String) -> String {
    var result = ""
    var rest = text[...]
    while let start = rest.firstRange(of: "://") {
        result += rest[..<start.upperBound]
        rest = rest[start.upperBound...]
        // An unencoded password may contain a slash; a blank or a quote certainly ends the URI.
        let whole = rest.prefix { !$0.isWhitespace && !"\"'<>".contains($0) }
        guard let sign = whole.lastIndex(of: "@"), let colon = whole[..<sign].firstIndex(of: ":") else { continue }
        result += whole[...colon] + "…"
        rest = rest[sign...]
    }
    return result + rest
}

/// Masks the value after `password =` and `sslpassword=`, quoted or not.
private func withoutKeywords(_ text: String) -> String {
    var result = ""
    var rest = text[...]
    while let word = rest.firstRange(of: "assword") ?? rest.firstRange(of: "ASSWORD") {
        result += rest[..<word.upperBound]
        rest = rest[word.upperBound...]
        let sign = rest.prefix { $0 == " " }.endIndex
        guard sign < rest.endIndex, rest[sign] == "=" else { continue }
        let value = rest[rest.index(after: sign)...].drop { $0 == " " }
        result += rest[..<value.startIndex]
        rest = value
        let isQuoted = rest.first == "'"
        if isQuoted { rest.removeFirst() }
        var length = 0
        while let next = rest.first {
            if isQuoted ? next == "'" : next.isWhitespace || next == "&" || next == "\"" { break }
            rest.removeFirst()
            // A character after a backslash belongs to the value.
            if next == "\\", !rest.isEmpty { rest.removeFirst() }
            length += 1
        }
        if isQuoted, rest.first == "'" { rest.removeFirst() }
        if length > 0 { result += "…" }
    }
    return result + rest
}

private let ownSecrets: [String] = ["TIDEMARK_WEBHOOK_SECRET", "TIDEMARK_SMTP_PASSWORD", "PGPASSWORD"].compactMap {
    (name: String) in
    getenv(name).map { String(cString: $0) }
}.filter { $0.utf8.count >= 4 }
