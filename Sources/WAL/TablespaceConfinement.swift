/// Bytes of a segment to be written over.
public struct SegmentPatch: Hashable, Sendable {
    /// From the segment's start.
    public let offset: Int
    public let bytes: [UInt8]
}

/// Looks through a segment for records that create tablespaces, and tells what to write over them before a copy of the
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
    /// - Throws: `WALDamage`: what can't be read can't be known to be harmless.
    public mutating func feed(_ chunk: RawSpan) throws(WALDamage) {
        try reader.feed(chunk, &finder)
    }

    /// From where the beginning of a record is known.
    public enum TailSource: Sendable, CaseIterable {
        /// From what was noted about the segment when it was stored.
        case summary
        /// From the segment itself.
        case content
    }

    /// What has to be written over; the whole file has been fed.
    ///
    /// - Parameter before: what segments that may come before this one hold of the record that goes on in it; asked only if
    ///   that may be of the kind, and for their content only if no summary has the beginning, which the checksum of the whole
    ///   record proves.
    /// - Throws: `WALDamage` also of such a record in several segments that is shorter or longer than any server's: half of it
    ///   may have been delivered, and what a server makes of the whole can't be told. The same of one whose beginning is
    ///   nowhere.
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
        // One that began in the segment before has been dealt with, or can't be replayed.
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

    /// The record that goes on in the segment, with the one of the beginnings that its checksum proves right; nil when none is.
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

/// Where a record's bytes lie in a segment.
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
        imageLength: UInt32, imageIsRestored: Bool
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
