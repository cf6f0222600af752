public import Platform

/// Why a document of the repository isn't read.
public enum DocumentFault: Error, Hashable, Sendable {
    /// Its bytes are not those that were written.
    case damaged
    /// Nothing that tidemark writes, or only its beginning.
    case foreign
    /// Whole, but a document that belongs elsewhere.
    case otherKind(String)
    /// JSON without a checksum, as it was written before format 1 was final.
    case unsealed
    /// Whole, and of a format that this program doesn't know.
    case newer(format: Int, version: String)
    /// Whole, but its content is impossible; the reason as a sentence.
    case impossible(String)
    /// It could not be read; the reason as a sentence. Whether it is whole isn't known.
    case unread(String)

    /// The rest of a sentence about the document: `has format 2, which this version of tidemark does not know`.
    public var verdict: String {
        switch self {
        case .damaged, .foreign, .impossible: "is damaged"
        case .unread: "cannot be read"
        case .otherKind(let kind): "is a document of kind \"\(kind)\", which does not belong there"
        case .unsealed: "was written before format 1 was final"
        case .newer(let format, _): "has format \(format), which this version of tidemark does not know"
        }
    }

    /// Verdict and detail in one sentence that begins with `it`.
    public var sentence: String { "it \(verdict). \(detail.dropLast())" }

    /// A sentence.
    public var detail: String {
        switch self {
        case .damaged: "Its bytes do not match its checksum."
        case .foreign: "It is not a document that tidemark writes."
        case .otherKind: "It is intact, but another document was put in its place."
        case .unsealed:
            "It has no checksum. This version of tidemark reads format \(SealedDocument.format) only in its final form."
        case .newer(_, let version): "It was written by tidemark \(version)."
        case .impossible(let reason), .unread(let reason): reason
        }
    }

    /// A hint, as a sentence.
    public var hint: String {
        switch self {
        case .damaged, .foreign, .otherKind, .impossible: "Restore it from a copy of the repository."
        case .unread: "Make it readable, then run the command again."
        case .unsealed:
            "Create a new repository in another place with "
                + "\"\(runnable("tidemark init"))\", and take a backup."
        case .newer(_, let version): "Use tidemark \(version) or later."
        }
    }

    /// Whether its bytes could be read.
    public var isReadable: Bool { if case .unread = self { false } else { true } }

    /// Whether what else is in that place was written by a version with which this one can't share it.
    public var isOfAnotherFormat: Bool {
        switch self {
        case .unsealed, .newer: true
        case .damaged, .foreign, .otherKind, .impossible, .unread: false
        }
    }
}

/// A document that isn't read, and where it is.
public struct DocumentRefused: Explained, Equatable {
    public let key: RepositoryKey
    /// The kind that belongs there.
    public let kind: SealedDocument.Kind
    public let fault: DocumentFault
    public init(key: RepositoryKey, _ kind: SealedDocument.Kind, fault: DocumentFault) {
        (self.key, self.kind, self.fault) = (key, kind, fault)
    }
    public var message: String { "object \"\(key)\" of the repository \(fault.verdict)" }
    public var detail: String? { fault.detail }
    public var hint: String? {
        switch (fault, kind) {
        case (.newer, _), (_, .incarnation), (_, .backup): fault.hint
        default: "Restore it from a copy of the repository, or remove it; nothing else depends on it."
        }
    }
}

extension ObjectStore {
    /// Reads and proves a document; nil when there is none.
    /// - Throws: `DocumentRefused`, and what the store throws.
    public func document(_ kind: SealedDocument.Kind, at key: RepositoryKey) throws -> SealedDocument? {
        do {
            guard let bytes = try readIfPresent(key) else { return nil }
            return try SealedDocument(kind, stored: bytes)
        } catch let fault as DocumentFault {
            throw DocumentRefused(key: key, kind, fault: fault)
        } catch let damage as ObjectDamaged {
            throw DocumentRefused(key: key, kind, fault: .impossible(damage.reason))
        }
    }

    /// Stores a document.
    /// - Throws: `ObjectExists` when the key is taken; the store's own errors.
    public func create(_ key: RepositoryKey, _ document: SealedDocument) throws {
        try create(key, bytes: document.bytes)
    }
}
