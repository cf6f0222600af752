/// The version of tidemark that this is; documents name it.
public let tidemarkVersion = "0.1.0"

/// A JSON object of the repository, which says what it is and proves its own bytes:
///
///     {
///       "kind" : "backup",
///       "format" : 1,
///       "tidemark_version" : "0.1.0",
///       …
///       "xxh128" : "0123456789abcdef0123456789abcdef"
///     }
///
/// The first three lines of keys and the last have exactly this form, so that both ends are read without a JSON parser;
/// in between is any JSON. The checksum covers everything before the comma and the newline in front of its line. Every
/// later format keeps both ends, so that a program recognises a document it can't read, and says which version can.
public struct SealedDocument: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case incarnation
        case backup
        case verification
        case job
        case recoveryBegin = "recovery-begin"
        case recoveryEnd = "recovery-end"
        case aside
        case lease
    }

    public static let format = 1

    public let kind: Kind
    /// All of it, as it is stored.
    public let bytes: [UInt8]

    /// - Parameters:
    ///   - body: a JSON object without the keys `kind`, `format`, `tidemark_version` and `xxh128`.
    ///   - version: of the program that writes it.
    /// - Precondition: `body` begins and ends with a brace, white space aside.
    public init(_ kind: Kind, body: [UInt8], version: String = tidemarkVersion) {
        let content = trimmed(body[...])
        precondition(content.count >= 2 && content.first == UInt8(ascii: "{") && content.last == UInt8(ascii: "}"))
        let members = trimmed(content.dropFirst().dropLast())
        var bytes = Array("\(SealedDocument.start)\(kind.rawValue)".utf8)
        bytes += "\(SealedDocument.formatKey)\(SealedDocument.format)\(SealedDocument.versionKey)".utf8
        bytes += version.utf8.filter(SealedDocument.isPlain).prefix(64)
        bytes.append(UInt8(ascii: "\""))
        if !members.isEmpty { bytes += Array(",\n  ".utf8) + members }
        self.kind = kind
        self.bytes = bytes + SealedDocument.seal(bytes)
    }

    /// Proves a stored document.
    /// - Parameter kind: the one that belongs in its place.
    public init(_ kind: Kind, stored bytes: [UInt8]) throws(DocumentFault) {
        let end = bytes.suffix(SealedDocument.sealLength)
        guard end.starts(with: SealedDocument.sealStart.utf8), end.reversed().starts(with: SealedDocument.sealEnd)
        else {
            if bytes.starts(with: SealedDocument.start.utf8) { throw .damaged }
            throw looksLikeJSON(bytes) ? .unsealed : .foreign
        }
        guard end.elementsEqual(SealedDocument.seal(Array(bytes.dropLast(SealedDocument.sealLength)))) else {
            throw .damaged
        }
        guard let head = SealedDocument.head(of: bytes) else { throw .foreign }
        guard head.kind == kind.rawValue else { throw .otherKind(head.kind) }
        guard head.format <= SealedDocument.format else { throw .newer(format: head.format, version: head.version) }
        (self.kind, self.bytes) = (kind, bytes)
    }

    /// The value of a member that is a string of digits, letters and the like; nil when there is none.
    public func string(_ key: String) -> String? {
        guard let text = member(key), text.count >= 2, text.first == "\"", text.last == "\"" else { return nil }
        let value = text.dropFirst().dropLast()
        return value.utf8.allSatisfy(SealedDocument.isPlain) ? String(value) : nil
    }

    /// The value of a member that is a whole number; nil when there is none.
    public func number(_ key: String) -> UInt64? { member(key).flatMap { UInt64($0) } }

    /// The value of a member that begins a line, without spaces. The lean executable has no JSON decoder; the document
    /// is proven to be one that tidemark wrote.
    private func member(_ key: String) -> String? {
        let name = "\"\(key)\":".utf8
        for line in bytes.split(separator: 0x0A) {
            let text = line.filter { $0 != 0x20 }
            guard text.starts(with: name) else { continue }
            let value = text.dropFirst(name.count)
            return String(decoding: value.last == UInt8(ascii: ",") ? value.dropLast() : value, as: UTF8.self)
        }
        return nil
    }

    private static let start = "{\n  \"kind\" : \""
    private static let formatKey = "\",\n  \"format\" : "
    private static let versionKey = ",\n  \"tidemark_version\" : \""
    private static let sealStart = ",\n  \"xxh128\" : \""
    /// Reversed.
    private static let sealEnd = Array("\"\n}\n".utf8.reversed())
    private static let sealLength = 52

    private static func seal(_ bytes: [UInt8]) -> [UInt8] {
        Array("\(sealStart)\(Digest(of: bytes))\"\n}\n".utf8)
    }

    /// Whether a byte stands for itself in a JSON string.
    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    /// What the first lines say; nil when they don't have their form.
    private static func head(of bytes: [UInt8]) -> (kind: String, format: Int, version: String)? {
        var rest = bytes[...]
        /// The word after a text, up to the first byte that doesn't belong to it; nil when the text isn't there.
        func word(after text: String, where belongs: (UInt8) -> Bool) -> String? {
            guard rest.starts(with: text.utf8) else { return nil }
            let word = rest.dropFirst(text.utf8.count).prefix(while: belongs)
            rest = rest[word.endIndex...]
            return word.count <= 64 ? String(decoding: word, as: UTF8.self) : nil
        }
        guard
            let kind = word(after: start, where: { (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "-") }),
            let number = word(after: formatKey, where: { (0x30...0x39).contains($0) }),
            let version = word(after: versionKey, where: isPlain), rest.first == UInt8(ascii: "\""),
            let format = Int(number), format > 0
        else { return nil }
        return (kind, format, version)
    }
}

private func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }

private func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let rest = bytes.drop(while: isSpace)
    return rest.dropLast(rest.reversed().prefix(while: isSpace).count)
}

private func looksLikeJSON(_ bytes: [UInt8]) -> Bool {
    let content = trimmed(bytes[...])
    return content.count >= 2 && content.first == UInt8(ascii: "{") && content.last == UInt8(ascii: "}")
        && content.allSatisfy { $0 >= 0x20 || isSpace($0) }
}
