/// Where a repository is, as the setting `repository` names it.
public enum RepositoryLocation: Hashable, Sendable, CustomStringConvertible {
    /// A directory of this host, by its absolute path.
    case directory(String)

    init(_ text: String) throws(UnknownLocation) {
        guard text.hasPrefix("/") else { throw UnknownLocation(text: text) }
        self = .directory(text)
    }

    public var description: String {
        switch self {
        case .directory(let path): path
        }
    }
}

/// No kind of repository is named like this.
struct UnknownLocation: Error {
    let text: String

    /// The scheme of a URL (RFC 3986, 3.1); nil for what isn't one.
    private var scheme: Substring? {
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        let scheme = text[..<colon]
        let isScheme = scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
        return isScheme && scheme.first?.isLetter == true ? scheme : nil
    }

    func objection(to setting: String) -> (problem: String, hint: String?) {
        guard let scheme else { return ("\(setting) must be an absolute path, not \"\(text)\"", nil) }
        return (
            "\(setting) cannot be \"\(text)\": \"\(scheme)\" is no kind of repository",
            "The only kind is a directory, named by its absolute path."
        )
    }
}
