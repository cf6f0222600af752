public import Platform
public import WAL

/// The version of tidemark that wrote an object, as the heads of segments and packs have it: three bytes, one for each
/// of its numbers.
struct WriterVersion: Hashable, Sendable, CustomStringConvertible {
    static let length = 3
    static let current = WriterVersion(bytes: tidemarkVersion.split(separator: ".").map { UInt8($0) ?? 0 }[...])

    let bytes: [UInt8]

    init(bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }

    var description: String { bytes.map { "\($0)" }.joined(separator: ".") }
}

extension ClusterArchive {
    /// The refusal of a segment whose object a later version wrote; nil for any other segment.
    public func laterFormat(of segment: SegmentName) -> UnsupportedFormat? {
        do { _ = try summary(of: segment) } catch let later as UnsupportedFormat { return later } catch {}
        return nil
    }
}

/// The object is whole, but of a format, compression or encryption that this version doesn't know.
public struct UnsupportedFormat: Explained, Equatable {
    public let key: RepositoryKey
    /// Of the tidemark that wrote it.
    public let version: String
    public init(key: RepositoryKey, version: String) { (self.key, self.version) = (key, version) }
    public var message: String {
        "object \"\(key)\" of the repository was written by tidemark \(version) in a format that this version does not "
            + "know"
    }
    public var hint: String? { "Use tidemark \(version) or later." }
}
