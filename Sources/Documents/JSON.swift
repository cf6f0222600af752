import FoundationEssentials
import Messages

/// JSON as tidemark writes it everywhere: snake_case keys in alphabetical order, and nothing that could change what a
/// terminal shows.
public func encodeJSON(_ value: some Encodable, pretty: Bool = true) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    return withoutMisleadingCharacters(json: Array(try encoder.encode(value)))
}

/// Reads the output of `encodeJSON`; ignores unknown keys.
public func decodeJSON<Value: Decodable>(_: Value.Type, from bytes: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Value.self, from: Data(bytes))
}
