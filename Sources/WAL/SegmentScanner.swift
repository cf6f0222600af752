/// Reads a segment once, front to back, and sums up its records; any damage is an error that says where.
///
///     var scanner = SegmentScanner(name: name, length: fileSize)
///     while let window = try next() { try scanner.feed(window) }   // whole pages, e.g. 128 KiB
///     let summary = try scanner.finish()
///
/// Memory is a fixed amount plus the longest record that crosses a page, plus what the summary holds.
public struct SegmentScanner: ~Copyable {
    private var reader: SegmentReader
    private var collector = FactsCollector()

    /// - Parameters:
    ///   - name: the segment's expected name; nil accepts any.
    ///   - length: the file's size in bytes.
    ///   - contents: a completed segment must be filled to its end or end in a segment switch; a `.partial` need not.
    ///   - systemIdentifier: the cluster it must come from; nil accepts any.
    public init(
        name: SegmentName?, length: UInt64, contents: SegmentContents = .completed, systemIdentifier: UInt64? = nil
    ) {
        reader = SegmentReader(goesOn: false, systemIdentifier: systemIdentifier)
        reader.begin(name, length: length, contents: contents)
    }

    /// Takes the next bytes of the file: a multiple of 8192.
    public mutating func feed(_ chunk: RawSpan) throws(WALDamage) { try reader.feed(chunk, &collector) }

    /// Whether nothing after the end of the records belongs to the segment: no page there has the address of its place.
    /// Otherwise the record at the end is damaged rather than the last one that was written. Only for a `.partial`.
    public var endsCleanly: Bool { !reader.hasPagesAfterEnd }

    /// Called when the whole file has been fed.
    public consuming func finish() throws(WALDamage) -> SegmentSummary {
        try reader.endSegment()
        return SegmentSummary(
            version: reader.version, systemIdentifier: reader.systemIdentifier, segmentSize: reader.segmentSize,
            start: reader.start, firstTimeline: reader.firstTimeline, lastTimeline: reader.lastTimeline,
            firstRecord: reader.firstRecord, firstPrevious: reader.firstPrevious, lastRecord: reader.lastRecord,
            end: reader.end, ending: reader.ending, startsAfterAbandoned: reader.startsAfterAbandoned,
            abandonedRecord: reader.abandonedRecord, head: reader.head, tail: reader.tail, facts: collector.finished(),
            blockMap: collector.blocks.encode())
    }
}

/// How a file with a segment's bytes may end.
public enum SegmentContents: Hashable, Sendable {
    /// Passed to `archive_command` under the segment's own name: records to the end, or to a segment switch.
    case completed
    /// A `.partial`, a segment in which its timeline was left, or a file that the server is still writing: valid
    /// records up to some point, then zeros or content from the file's earlier use.
    case partial
}
