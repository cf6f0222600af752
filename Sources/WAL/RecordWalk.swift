/// Calls back with each record of consecutive segments, in order.
///
///     var walk = RecordWalk()
///     walk.begin(name, length: fileSize)
///     while let window = try next() { try walk.feed(window) { record in …; return .more } }
///     try walk.endSegment()
///     walk.begin(nextName, length: nextSize) …
///
/// Performs all checks of `SegmentScanner`, and checks the links between segments as well. A record that crosses a
/// boundary is visited when it is complete, before the later segment's own records. The remains of a record at the
/// start of the very first segment are skipped.
public struct RecordWalk: ~Copyable {
    public enum Step: Sendable { case more, stop }

    private var reader: SegmentReader
    private let includesBlocks: Bool

    /// - Parameter includingBlocks: fill `WALRecord.blocks`.
    public init(includingBlocks: Bool = false) {
        reader = SegmentReader(goesOn: true)
        includesBlocks = includingBlocks
    }

    /// Whether the visitor has returned `.stop`; further bytes are ignored.
    public var isStopped: Bool { reader.isStopped }

    /// Starts the next segment, which must follow the previous one on the caller's history.
    public mutating func begin(_ name: SegmentName, length: UInt64, contents: SegmentContents = .completed) {
        reader.begin(name, length: length, contents: contents)
    }

    /// Takes the segment's next bytes, a multiple of 8192, and visits the records that end in them.
    /// - Throws: `WALDamage`, or what `visit` throws.
    public mutating func feed(_ chunk: RawSpan, _ visit: (WALRecord) throws -> Step) throws {
        try withoutActuallyEscaping(visit) { visit in
            var visitor = WalkVisitor(visit: visit, includesBlocks: includesBlocks)
            try reader.feed(chunk, &visitor)
            if let failure = visitor.failure { throw failure }
        }
    }

    /// The start of the record that has not ended in the bytes fed so far; nil between two records.
    public var openRecord: LSN? { reader.state == .record ? reader.open?.lsn : nil }

    public mutating func endSegment() throws(WALDamage) { try reader.endSegment() }
}

private struct WalkVisitor: RecordVisitor {
    let visit: (WALRecord) throws -> RecordWalk.Step
    let includesBlocks: Bool
    var failure: (any Error)?
    private var blocks: [BlockReference] = []
    private var imageBytes: UInt32 = 0

    init(visit: @escaping (WALRecord) throws -> RecordWalk.Step, includesBlocks: Bool) {
        self.visit = visit
        self.includesBlocks = includesBlocks
    }

    mutating func block(
        id: UInt8, fork: UInt8, tablespace: UInt32, database: UInt32, number: UInt32, block: UInt32,
        dataLength: Int, imageLength: UInt32, imageIsRestored: Bool, imageHeader: Int
    ) {
        imageBytes &+= imageLength
        guard includesBlocks, let fork = Fork(rawValue: fork) else { return }
        blocks.append(
            BlockReference(
                id: id, file: RelationFile(tablespace: tablespace, database: database, number: number), fork: fork,
                block: block, image: imageLength == 0 ? .none : imageIsRestored ? .restored : .compared))
    }

    mutating func record(_ header: RecordHeader, end: LSN, version: WALVersion, main: RawSpan) -> RecordVerdict {
        guard let kind = RecordKind.decode(header, end: end, version: version, main: main) else { return .malformed }
        defer {
            // After the visit, when the array isn't shared: otherwise each record would allocate a new one.
            blocks.removeAll(keepingCapacity: true)
            imageBytes = 0
        }
        do {
            let record = WALRecord(header: header, end: end, kind: kind, blocks: blocks, imageBytes: imageBytes)
            return try visit(record) == .more ? .good : .stop
        } catch {
            failure = error
            return .stop
        }
    }
}
