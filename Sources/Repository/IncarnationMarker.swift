import Platform

/// `incarnation.json` isn't what `tidemark init` wrote.
struct DamagedMarker: Explained, Equatable {
    let key: RepositoryKey
    let location: String
    var message: String { "\"\(key)\" in repository \"\(location)\" is damaged" }
    var detail: String? { "What is, and isn't, in this place of the repository can't be believed." }
    var hint: String? { "Bring the file back from a copy of the repository." }
}

extension ClusterArchive {
    /// Whether `tidemark init` made it: whether its marker is there, unread.
    public func exists() throws -> Bool { try store.exists(incarnation.marker) }

    /// Reads the marker. What the store says of an object that isn't there is believed only between two such
    /// looks: a file system that fails says of everything that it isn't there.
    ///
    /// - Returns: false when there is none.
    /// - Throws: `DamagedMarker`, and what reading throws.
    public func isConfirmed() throws -> Bool {
        guard let bytes = try store.readIfPresent(incarnation.marker, limit: 1 << 20) else { return false }
        // One JSON object; the lean executable has no decoder, and needs none for what an accident does to a file.
        let text = bytes.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        let name = "\"system_identifier\":"
        let value = name + "\"\(incarnation.systemIdentifier)\""
        guard text.first == UInt8(ascii: "{"), text.last == UInt8(ascii: "}"), !text.contains(where: { $0 < 0x20 }),
            holds(text, name) == holds(text, value)
        else { throw DamagedMarker(key: incarnation.marker, location: store.location) }
        return true
    }
}

private func holds(_ text: [UInt8], _ word: String) -> Bool {
    let word = Array(word.utf8)
    guard text.count >= word.count else { return false }
    return (0...text.count - word.count).contains { text[$0..<$0 + word.count].elementsEqual(word) }
}
