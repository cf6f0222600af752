public import Platform
public import WAL

/// Something wrong with a file of an archive; the other files are checked all the same.
public struct ArchiveProblem: Explained, Equatable {
    public let message: String
    public let detail: String?
    public let hint: String?
    /// The segment it is about, if it is about one.
    public let segment: SegmentName?
    /// Decides how a later check finds out whether the problem persists.
    public let kind: Kind

    public enum Kind: Sendable, Hashable {
        /// The segment itself; `damage` says whether it still is.
        case damage
        /// The segment is missing, and those after it through this one.
        case missing(through: SegmentName)
        /// Anything else: how segments connect, a history, a file that isn't a segment.
        case other
    }

    public init(
        _ message: String, detail: String? = nil, hint: String? = nil, segment: SegmentName? = nil, kind: Kind = .other
    ) {
        (self.message, self.detail, self.hint, self.segment, self.kind) = (message, detail, hint, segment, kind)
    }

    init(_ error: any Error, segment: SegmentName? = nil) {
        let explained = error as? any Explained
        self.init(
            explained?.message ?? "\(error)", detail: explained?.detail, hint: explained?.hint, segment: segment,
            kind: segment == nil ? .other : .damage)
    }
}
