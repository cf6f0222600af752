/// Bytes of a segment to overwrite.
public struct SegmentPatch: Hashable, Sendable {
    /// Bytes from the segment's start.
    public let offset: Int
    public let bytes: [UInt8]
}

/// Searches a segment for records that create tablespaces, and returns the bytes to overwrite before a copy of the
/// cluster replays it (`ConfinedTablespace`).
///
///     var confinement = TablespaceConfinement(name, length: fileSize, contents: contents)
///     while let window = try next() { try confinement.feed(window) }
///     let patches = try confinement.patches { source in tails of the segment before }
public struct TablespaceConfinement: ~Copyable {
    private var reader: SegmentReader
    private var finder = Finder()

    public init(_ name: SegmentName, length: UInt64, contents: SegmentContents) {
        reader = SegmentReader(goesOn: false)
        reader.begin(name, length: length, contents: contents)
    }

    /// Takes the next bytes of the file: a multiple of 8192.
    /// - Throws: `WALDamage`: WAL that can't be read isn't known to be harmless.
    public mutating func feed(_ chunk: RawSpan) throws(WALDamage) {
        try reader.feed(chunk, &finder)
    }

    /// Where the beginning of a record is taken from.
    public enum TailSource: Sendable, CaseIterable {
        /// The segment's stored summary.
        case summary
        /// The segment itself.
        case content
    }

    /// The bytes to overwrite; called when the whole file has been fed.
    ///
    /// - Parameter before: the fragments, in segments that may precede this one, of the record that continues in it.
    ///   Called only if that record may create a tablespace, and for the segments' content only if no summary has a
    ///   beginning with which the checksum of the whole record is correct.
    /// - Throws: `WALDamage` also when such a record in several segments is shorter or longer than any server's, since
    ///   half of it may have been delivered, and it isn't known what a server does with the whole; and when its
    ///   beginning isn't found.
    public consuming func patches(before: (TailSource) throws -> [TailFragment]) throws -> [SegmentPatch] {
        try reader.endSegment()
        var patches: [SegmentPatch] = []
        let size = Int(reader.segmentSize)
        func write(_ record: ArraySlice<UInt8>, at offset: Int) {
            var rest = record
            for piece in RecordPlace.pieces(from: offset, count: record.count, segmentSize: size) {
                patches.append(SegmentPatch(offset: piece.lowerBound, bytes: Array(rest.prefix(piece.count))))
                rest = rest.dropFirst(piece.count)
            }
        }
        if let head = reader.head, !head.isAbandoned,
            head.missing <= ConfinedTablespace.lengths.upperBound || ConfinedTablespace.mayConcern(start: head.start)
        {
            var straddling: (record: [UInt8], begun: Int)?
            for source in TailSource.allCases where straddling == nil {
                straddling = try joined(head, try before(source))
            }
            if let (record, begun) = straddling {
                if ConfinedTablespace.concerns(record) {
                    write(
                        ConfinedTablespace.record(record, length: UInt32(record.count), cut: begun)[begun...], at: 0)
                }
            } else if ConfinedTablespace.concerns(start: head.start, before: reader.start) {
                throw reader.damage(.unknownBeginning)
            }
        }
        let start = reader.start
        // One that began in the previous segment is handled above, or can't be replayed.
        for (header, oid) in finder.found where header.lsn >= start {
            write(ConfinedTablespace.record(header, oid: oid)[...], at: Int(header.lsn - start))
        }
        if let tail = reader.tail, tail.length >= 24, ConfinedTablespace.concerns(tail.header) {
            guard ConfinedTablespace.lengths.contains(tail.total), let bytes = tail.bytes else {
                throw reader.damage(.recordLength(tail.total), of: tail.lsn)
            }
            write(
                ConfinedTablespace.record(bytes, length: tail.total, cut: bytes.count)[..<bytes.count],
                at: Int(tail.lsn - start))
        }
        return patches
    }

    /// The record that continues in the segment, with the beginning for which its checksum is correct; nil when there
    /// is none.
    private mutating func joined(
        _ head: HeadFragment, _ tails: [TailFragment]
    ) throws(WALDamage) -> (record: [UInt8], begun: Int)? {
        for tail in tails where UInt64(tail.total) == UInt64(tail.length) + UInt64(head.missing) {
            if ConfinedTablespace.concerns(Array((tail.header + head.start).prefix(24))),
                !ConfinedTablespace.lengths.contains(tail.total)
            {
                throw reader.damage(.recordLength(tail.total), of: tail.lsn)
            }
            guard head.length == head.missing, let bytes = head.bytes, let begun = tail.bytes,
                begun.count == Int(tail.length), ConfinedTablespace.isValid(begun + bytes)
            else { continue }
            return (begun + bytes, begun.count)
        }
        return nil
    }
}

/// The places of a record's bytes in a segment.
enum RecordPlace {
    /// - Parameter start: of the record, or 0 for the remains of one at the segment's start.
    static func pieces(from start: Int, count: Int, segmentSize: Int) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        var (at, left) = (start, count)
        while left > 0, at < segmentSize {
            if at % PageHeader.pageSize == 0 { at += at == 0 ? PageHeader.long : PageHeader.short }
            let end = min(at + left, at - at % PageHeader.pageSize + PageHeader.pageSize)
            pieces.append(at..<end)
            left -= end - at
            at = end
        }
        return pieces
    }
}

private struct Finder: RecordVisitor {
    var found: [(header: RecordHeader, oid: UInt32)] = []

    mutating func block(
        id: UInt8, fork: UInt8, tablespace: UInt32, database: UInt32, number: UInt32, block: UInt32,
        dataLength: Int, imageLength: UInt32, imageIsRestored: Bool, imageHeader: Int
    ) {}

    @inline(__always)
    mutating func record(_ header: RecordHeader, end: LSN, version: WALVersion, main: RawSpan) -> RecordVerdict {
        guard header.manager == .tablespace, header.info & RecordInfo.operation == TablespaceInfo.create else {
            return .good
        }
        guard main.byteCount > 4 else { return .malformed }
        found.append((header, main.u32(0)))
        return .good
    }
}
