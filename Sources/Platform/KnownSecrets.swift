import Synchronization

/// The secrets that this process has read in connection strings: masked wherever they appear, whatever surrounds them
/// and in whatever way they are written.
public enum KnownSecrets {
    private static let all = Mutex<Set<String>>([])

    /// Learns the passwords in a connection string, as libpq reads it: keywords and values, or a URI.
    public static func learn(conninfo text: String) {
        let found = text.contains("://") ? inAddress(text) : inKeywords(text)
        let secrets = found.filter(isUnlikeAWord)
        guard !secrets.isEmpty else { return }
        all.withLock { known in
            for secret in secrets {
                known.insert(secret)
                // As JSON and as a shell's word.
                known.insert(String(quotedForJSON(secret).dropFirst().dropLast()))
                known.insert(String(inShellQuotes(secret).dropFirst().dropLast()))
            }
        }
    }

    /// A longer one before one that is a part of it.
    static var longestFirst: [String] {
        all.withLock { $0.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) } }
    }

    /// Whether a password can't be a part of other words. One that can, such as `postgres`, is only masked where the
    /// text says that it is a password.
    private static func isUnlikeAWord(_ secret: String) -> Bool {
        if secret.utf8.count < 4 { return false }
        if secret.contains(where: { !$0.isLetter && !$0.isNumber }) { return true }
        return secret.utf8.count >= 6 && secret.contains(where: \.isLetter) && secret.contains(where: \.isNumber)
    }

    /// As written and as meant, of `password` and `sslpassword`.
    private static func inKeywords(_ text: String) -> [String] {
        var secrets: [String] = []
        var rest = Substring(text)
        while true {
            rest = rest.drop { $0.isWhitespace }
            let keyword = rest.prefix { !$0.isWhitespace && $0 != "=" }
            rest = rest[keyword.endIndex...].drop { $0.isWhitespace }
            guard rest.first == "=" else { return secrets }
            rest = rest.dropFirst().drop { $0.isWhitespace }
            let isQuoted = rest.first == "'"
            if isQuoted { rest.removeFirst() }
            let start = rest.startIndex
            var value = ""
            while let next = rest.first, isQuoted ? next != "'" : !next.isWhitespace {
                rest.removeFirst()
                if next == "\\", let escaped = rest.popFirst() { value.append(escaped) } else { value.append(next) }
            }
            if isSecret(keyword) { secrets += [String(text[start..<rest.startIndex]), value] }
            if isQuoted, !rest.isEmpty { rest.removeFirst() }
        }
    }

    /// The password between the colon and the `@` of the authority, and those among the parameters.
    private static func inAddress(_ text: String) -> [String] {
        guard let begin = text.firstRange(of: "://")?.upperBound else { return [] }
        let rest = text[begin...]
        var secrets: [Substring] = []
        if let sign = rest.prefix(while: { $0 != "?" }).lastIndex(of: "@"),
            let colon = rest[..<sign].firstIndex(of: ":")
        {
            secrets.append(rest[rest.index(after: colon)..<sign])
        }
        if let mark = rest.firstIndex(of: "?") {
            for parameter in rest[rest.index(after: mark)...].split(separator: "&") {
                let parts = parameter.split(separator: "=", maxSplits: 1)
                if parts.count == 2, isSecret(parts[0]) { secrets.append(parts[1]) }
            }
        }
        return secrets.flatMap { [String($0), decoded($0)] }
    }

    private static func isSecret(_ keyword: Substring) -> Bool { ["password", "sslpassword"].contains(keyword) }

    /// Without percent encoding.
    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let code = UInt8(Substring(rest.prefix(2)), radix: 16) {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
