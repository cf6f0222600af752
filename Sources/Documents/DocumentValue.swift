public import Repository

extension SealedDocument {
    /// - Parameter value: an object without the keys that begin and end every document.
    public init(_ kind: Kind, of value: some Encodable, version: String = tidemarkVersion) throws {
        self.init(kind, body: try encodeJSON(value), version: version)
    }

    /// The document's value, including the keys that begin and end it.
    public func value<Value: Decodable>(_: Value.Type) throws(DocumentFault) -> Value {
        do { return try decodeJSON(Value.self, from: bytes) } catch {
            throw .impossible("It is intact, but not the JSON that tidemark writes.")
        }
    }
}

/// A document of the repository as a command prints it: its value, and the version that wrote it.
public struct PrintedDocument<Value: Encodable>: Encodable {
    private let value: Value
    private let format: Int
    private let tidemarkVersion: String

    public init(_ value: Value, version: String) {
        (self.value, format, tidemarkVersion) = (value, SealedDocument.format, version)
    }

    private enum Keys: CodingKey { case format, tidemarkVersion }

    public func encode(to encoder: any Encoder) throws {
        try value.encode(to: encoder)
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(format, forKey: .format)
        try container.encode(tidemarkVersion, forKey: .tidemarkVersion)
    }
}
