import Platform

/// An object's name in the repository: folders and a last part, separated by slashes, relative to the repository's
/// root.
///
/// A key never starts with a slash, has no empty part, and no part starts with a dot; so names that start with a dot
/// are free for temporaries, and no key can lead out of the repository.
public struct RepositoryKey: Hashable, Comparable, Sendable, LosslessStringConvertible {
    public let description: String

    /// The repository's root, the folder that holds the clusters.
    public static let root = RepositoryKey(unchecked: "")

    /// Nil when `text` isn't a key.
    public init?(_ text: String) {
        guard text.utf8.count <= 1024,
            Files.names(in: text).allSatisfy(RepositoryKey.isPart)
        else { return nil }
        description = text
    }

    private init(unchecked: String) { description = unchecked }

    /// The key one folder deeper.
    /// - Precondition: `part` is not empty, doesn't start with a dot and holds neither slash nor control characters.
    public func appending(_ part: String) -> RepositoryKey {
        precondition(RepositoryKey.isPart(part), "not a part of a key: \(part)")
        return RepositoryKey(unchecked: description.isEmpty ? part : description + "/" + part)
    }

    /// The key's last part.
    public var name: String {
        String(description[(slash.map(description.utf8.index(after:)) ?? description.startIndex)...])
    }

    /// The folder the object lies in.
    public var folder: RepositoryKey {
        RepositoryKey(unchecked: String(description[..<(slash ?? description.startIndex)]))
    }

    /// The last slash.
    private var slash: String.Index? { description.utf8.lastIndex(of: UInt8(ascii: "/")) }

    public static func < (a: Self, b: Self) -> Bool { a.description < b.description }

    /// Whether `text` may stand between two slashes of a key.
    public static func isPart(_ text: some StringProtocol) -> Bool {
        let bytes = text.utf8
        return !bytes.isEmpty && bytes.count <= 200 && bytes.first != UInt8(ascii: ".")
            && bytes.allSatisfy { $0 > 0x1F && $0 != 0x7F && $0 != UInt8(ascii: "/") }
    }
}
