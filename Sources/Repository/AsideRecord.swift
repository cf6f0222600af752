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
    /// Labels of the backups that were complete; nil where that means nothing.
    public let backups: [String]?

    public init(_ subject: String, reason: String, time: String, objects: [String], backups: [String]? = nil) {
        (self.subject, self.reason, self.time, self.objects) = (subject, reason, time, objects)
        self.backups = backups
    }

    public var document: SealedDocument {
        func list(_ texts: [String]) -> String {
            texts.map { "\n    " + quotedForJSON($0) }.joined(separator: ",") + (texts.isEmpty ? "" : "\n  ")
        }
        let complete = backups.map { "\n  \"backups\" : [\(list($0))]," } ?? ""
        return SealedDocument(
            .aside,
            body: Array(
                """
                {
                  "at" : \(quotedForJSON(time)),\(complete)
                  "objects" : [\(list(objects))],
                  "what" : \(quotedForJSON(subject)),
                  "why" : \(quotedForJSON(reason))
                }
                """.utf8))
    }
}
