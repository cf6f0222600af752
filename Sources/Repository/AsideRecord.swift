import Platform

/// What `record.json` says of objects that were put aside; the lean executable writes it, too.
public struct AsideRecord: Sendable {
    /// The file or timeline that was named, or the damaged object.
    public let subject: String
    public let reason: String
    /// ISO 8601.
    public let time: String
    /// Relative to the incarnation, as they were.
    public let objects: [String]

    public init(_ subject: String, reason: String, time: String, objects: [String]) {
        (self.subject, self.reason, self.time, self.objects) = (subject, reason, time, objects)
    }

    public var document: SealedDocument {
        let list = objects.map { "\n    " + quotedForJSON($0) }.joined(separator: ",")
        return SealedDocument(
            .aside,
            body: Array(
                """
                {
                  "at" : \(quotedForJSON(time)),
                  "objects" : [\(list)\(list.isEmpty ? "" : "\n  ")],
                  "what" : \(quotedForJSON(subject)),
                  "why" : \(quotedForJSON(reason))
                }
                """.utf8))
    }
}
