/// An error with PostgreSQL's three parts.
///
/// The message is short, factual, lower case, without a full stop; detail and hint are sentences
/// (<https://www.postgresql.org/docs/current/error-style-guide.html>).
public protocol Explained: Error, Sendable, CustomStringConvertible {
    var message: String { get }
    /// More facts: what was found, what was expected.
    var detail: String? { get }
    /// What to do next.
    var hint: String? { get }
    /// Whether the same call may succeed later without a correction, since something is temporarily away, such as a
    /// file system or a server, or busy. Damage and disagreement are never transient.
    var isTransient: Bool { get }
    /// Whether it says nothing about the object, only that it could not be reached.
    var isOutOfReach: Bool { get }
    /// Whether every other write in that place would fail, too: it is full or read-only.
    var preventsWriting: Bool { get }
}

extension Explained {
    public var detail: String? { nil }
    public var hint: String? { nil }
    public var isTransient: Bool { false }
    public var isOutOfReach: Bool { isTransient }
    public var preventsWriting: Bool { false }
    public var description: String {
        [message, detail.map { "DETAIL: \($0)" }, hint.map { "HINT: \($0)" }].compactMap { $0 }.joined(separator: "; ")
    }
}

/// An error's message; of one that has none, what it says of itself.
public func explanation(of error: any Error) -> String { (error as? any Explained)?.message ?? "\(error)" }

/// All parts of an error, for a text that has no parts of its own: sentences with one full stop each.
public func sentences(of error: any Error) -> String {
    let explained = error as? any Explained
    return [explained?.message ?? "\(error)", explained?.detail, explained?.hint].compactMap { $0 }
        .map { $0.hasSuffix(".") || $0.hasSuffix("?") ? $0 : $0 + "." }.joined(separator: " ")
}

/// An error that no caller distinguishes from others; where one must, define a type with its facts.
public struct Problem: Explained, Equatable {
    public let message: String
    public let detail: String?
    public let hint: String?

    public init(_ message: String, detail: String? = nil, hint: String? = nil) {
        self.message = message
        self.detail = detail
        self.hint = hint
    }
}
