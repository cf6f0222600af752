public import Platform
public import WAL

/// Something wrong with a file of an archive; others are looked at all the same.
public struct ArchiveProblem: Explained, Equatable {
    public let message: String
    public let detail: String?
    public let hint: String?
    /// The segment it is about, if it is about one.
    public let segment: SegmentName?

    public init(_ message: String, detail: String? = nil, hint: String? = nil, segment: SegmentName? = nil) {
        (self.message, self.detail, self.hint, self.segment) = (message, detail, hint, segment)
    }

    init(_ error: any Error, segment: SegmentName? = nil) {
        let explained = error as? any Explained
        self.init(
            explained?.message ?? "\(error)", detail: explained?.detail, hint: explained?.hint, segment: segment)
    }
}
