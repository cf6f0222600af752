/// Calls back with each record of consecutive segments, in order.
///
///     var walk = RecordWalk()
///     walk.begin(name, length: fileSize)
///     while let window = try next() { try walk.feed(window) { record in …; return .more } }
///     try walk.endSegment()
///     walk.begin(nextName, length: nextSize) …
///
/// A record that straddles two segments is visited when it is complete, before the later segment's own. The remains of a
/// record at the start of the very first segment are skipped.
public struct RecordWalk: ~Copyable {
    public enum Step: Sendable { case more, stop }

    /// Whether the visitor has said `.stop`; what is fed after that is ignored.
    public private(set) var isStopped = false
    /// - Parameter includingBlocks: fill `WALRecord.blocks`.
    public init(includingBlocks: Bool = false) {}

    /// Starts the next segment. It must follow the one before on the caller's history.
    public mutating func begin(_ name: SegmentName, length: UInt64, contents: SegmentContents = .completed) {}

    public mutating func feed(_ chunk: RawSpan, _ visit: (WALRecord) throws -> Step) throws {}

    public mutating func endSegment() throws {}
}
