/// Where a segment that may end early really ends.
///
/// A record is valid only if it names the one before it (`ValidXLogRecordHeader`,
/// src/backend/access/transam/xlogreader.c). A recycled file may hold a whole record from its earlier use, with a
/// correct checksum, exactly where the last written byte ends; if that is at the segment's beginning, only the previous
/// segment shows that the record doesn't continue it.
extension SegmentSummary {
    /// Removes the records, and the rest of the one that crosses the left boundary unless `keepingHead`.
    ///
    /// - Returns: false when there are records on later pages. Their addresses show that they were written for this
    ///   segment: it is other WAL, or damaged, rather than ended.
    mutating func trim(keepingHead: Bool) -> Bool {
        guard tail == nil, ending != .full else { return false }
        let pageSize = UInt64(PageHeader.pageSize)
        let rest = head.map { HeadFragment.end($0.length) } ?? UInt64(PageHeader.long)
        let page = max(rest - 1, firstRecord.map { $0 - start } ?? 0) / pageSize
        let written = firstRecord == nil ? rest : max(rest, recordsEnd - start)
        guard (written - 1) / pageSize <= page else { return false }
        (firstRecord, firstPrevious, lastRecord) = (nil, nil, nil)
        let isWhole = head.map { $0.length == $0.missing && !$0.isAbandoned } ?? false
        if keepingHead, isWhole {
            end = start + rest
        } else {
            end = start
            head = nil
        }
        (startsAfterAbandoned, abandonedRecord) = (false, nil)
        ending = .stale
        let nothing = FactsCollector()
        blockMap = nothing.blocks.encode()
        facts = nothing.finished()
        return true
    }
}

extension HeadFragment {
    /// Offset in the segment after a head of this length, padded.
    static func end(_ length: UInt32) -> UInt64 {
        let first = UInt64(PageHeader.pageSize - PageHeader.long)
        let other = UInt64(PageHeader.pageSize - PageHeader.short)
        var position = UInt64(PageHeader.long) + UInt64(length)
        if UInt64(length) > first {
            let pages = (UInt64(length) - first - 1) / other
            let rest = UInt64(length) - first - pages * other
            position = UInt64(PageHeader.pageSize) * (pages + 1) + UInt64(PageHeader.short) + rest
        }
        return (position + 7) & ~7
    }
}

extension BrokenLink.Reason {
    /// Whether the record that crosses the left boundary does not end there as it began.
    var isOfStraddlingRecord: Bool {
        switch self {
        case .recordCRC, .recordHeader, .recordContent, .continuationLength, .notContinued: true
        default: false
        }
    }
}
