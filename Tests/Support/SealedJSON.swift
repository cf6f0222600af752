public import Repository

/// The bytes of a changed document with its checksum corrected.
public func resealed(_ bytes: [UInt8]) -> [UInt8] {
    // The length of the checksum's line, with the comma before it and the brace after it (docs/repository.md).
    let rest = Array(bytes.dropLast(52))
    return rest + Array(",\n  \"xxh128\" : \"\(Digest(of: rest))\"\n}\n".utf8)
}

public func resealed(_ text: String) -> [UInt8] { resealed(Array(text.utf8)) }

/// What is beside a `backup.json` of these bytes.
public func seal(of description: [UInt8]) -> [UInt8] { Array("\(Digest(of: description))  backup.json\n".utf8) }

/// A valid document of format 1 with its format, or the version that wrote it, replaced.
public func document(_ bytes: [UInt8], ofFormat format: Int, version: String) -> [UInt8] {
    let text = String(decoding: bytes, as: UTF8.self)
    return resealed(
        text.replacing("\"format\" : 1,", with: "\"format\" : \(format),", maxReplacements: 1)
            .replacing(
                /"tidemark_version"\ :\ "[^"]*"/, with: "\"tidemark_version\" : \"\(version)\"", maxReplacements: 1))
}

/// A document from before format 1 was final: without kind and checksum.
public func unsealed(_ bytes: [UInt8]) -> [UInt8] {
    let text = String(decoding: bytes.dropLast(52), as: UTF8.self)
    return Array((text.replacing(/\ \ "kind"\ :\ "[^"]*",\n/, with: "", maxReplacements: 1) + "\n}\n").utf8)
}

extension Incarnation {
    /// A marker as `tidemark init` writes it, as far as readers use it.
    public var sealedMarker: SealedDocument {
        SealedDocument(
            .incarnation,
            body: Array("{ \"major\" : \(major),\n  \"system_identifier\" : \"\(systemIdentifier)\" }".utf8))
    }
}
