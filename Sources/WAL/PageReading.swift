/// Page by page: the checks of a page's header, and the records on it.
extension SegmentReader {
    mutating func page<Visitor: RecordVisitor & ~Copyable>(
        _ page: RawSpan, _ visitor: inout Visitor
    ) throws(WALDamage) {
        if state == .ended { return try checkAfterEnd(page) }
        var at = PageHeader.short
        if state == .segmentStart {
            try startSegment(page)
            at = PageHeader.long
        } else {
            guard try continuesWAL(page) else { return }
        }
        let flags = page.u16(PageHeader.flagsOffset)
        if flags & PageHeader.afterAbandoned != 0 {
            guard flags & PageHeader.continues == 0 else { throw damage(.pageFlags(flags)) }
            try abandon(isFirst: offset == 0, flags: flags)
        }
        guard try continuesRecord(page, at: &at, &visitor), !isStopped else { return }
        try records(page, from: at, &visitor)
    }

    /// Takes the rest of the open record from the front of the page. Returns false when the rest of the page is not to
    /// be read.
    private mutating func continuesRecord<Visitor: RecordVisitor & ~Copyable>(
        _ page: RawSpan, at: inout Int, _ visitor: inout Visitor
    ) throws(WALDamage) -> Bool {
        let continues = page.u16(PageHeader.flagsOffset) & PageHeader.continues != 0
        let missing = page.u32(PageHeader.missingOffset)
        let expected: UInt32
        switch state {
        case .record: expected = open?.missing ?? 0
        case .head: expected = head.map { $0.missing - $0.length } ?? 0
        default:
            guard !continues, missing == 0 else { throw damage(.continuation(found: missing, expected: 0)) }
            return true
        }
        guard continues, missing == expected else {
            throw damage(.continuation(found: missing, expected: expected))
        }
        let piece = at..<at + min(Int(missing), PageHeader.pageSize - at)
        at = piece.upperBound
        if state == .head {
            head?.add(page, piece)
            guard piece.count == Int(missing) else { return false }
            state = .boundary
        } else {
            open?.add(page, piece, to: &buffer)
            guard piece.count == Int(missing) else { return false }
            state = .boundary
            try finishOpenRecord(paddedTo: offset + UInt64(aligned(at)), &visitor)
            if state == .ended { return false }
        }
        guard page.isZero(at..<aligned(at)) else { throw damage(.recordPadding, at: at) }
        at = aligned(at)
        if end < start + offset + UInt64(at) { end = start + offset + UInt64(at) }
        return true
    }

    private mutating func startSegment(_ page: RawSpan) throws(WALDamage) {
        segmentSize = 0
        let magic = page.u16(PageHeader.magicOffset)
        let flags = page.u16(PageHeader.flagsOffset)
        let size = page.u32(PageHeader.segmentSizeOffset)
        let address = LSN(page.u64(PageHeader.addressOffset))
        let isPowerOfTwo = size != 0 && size & (size - 1) == 0
        let isPossible = isPowerOfTwo && size >= 1 << 20 && size <= 1 << 30
        guard let version = WALVersion(magic: magic) else {
            if magic >> 8 == 0xD1, flags & PageHeader.isLong != 0, isPossible, address.rawValue % UInt64(size) == 0 {
                throw damage(.unknownVersion(magic: magic))
            }
            throw damage(.notWAL)
        }
        guard flags & PageHeader.isLong != 0, flags & ~PageHeader.knownFlags == 0 else {
            throw damage(.pageFlags(flags))
        }
        let blockSize = page.u32(PageHeader.blockSizeOffset)
        guard blockSize == UInt32(PageHeader.pageSize) else { throw damage(.blockSize(blockSize)) }
        guard isPossible else { throw damage(.segmentSize(size)) }
        guard length == UInt64(size) else { throw damage(.length(found: length, expected: UInt64(size))) }
        let identifier = page.u64(PageHeader.systemIdentifierOffset)
        if let wanted = systemIdentifierWanted, identifier != wanted {
            throw damage(.systemIdentifier(found: identifier, expected: wanted))
        }
        if let name, !name.isPossible(segmentSize: size) || address != name.start(segmentSize: size) {
            throw damage(.pageAddress(found: address, expected: name.start(segmentSize: size)))
        }
        guard address.rawValue % UInt64(size) == 0 else {
            throw damage(
                .pageAddress(found: address, expected: LSN(address.rawValue / UInt64(size) * UInt64(size))))
        }
        let timeline = TimelineID(page.u32(PageHeader.timelineOffset))
        let newest = name?.timeline.rawValue ?? .max
        guard (1...newest).contains(timeline.rawValue) else {
            throw damage(.pageTimeline(found: timeline, allowed: 1...newest))
        }
        guard page.u32(PageHeader.paddingOffset) == 0 else { throw damage(.pagePadding, at: PageHeader.paddingOffset) }
        self.version = version
        systemIdentifier = identifier
        segmentSize = size
        start = address
        firstTimeline = timeline
        lastTimeline = timeline
        end = address
        state = .boundary
        if goesOn, open != nil {
            state = .record
        } else if flags & PageHeader.continues != 0, previous == .zero {
            let missing = page.u32(PageHeader.missingOffset)
            guard missing > 0 else { throw damage(.continuation(found: 0, expected: 1)) }
            head = HeadFragment(missing: missing)
            state = .head
        }
    }

    /// Checks the header of a page that isn't the first. Returns false when the WAL ends here, as it may.
    private mutating func continuesWAL(_ page: RawSpan) throws(WALDamage) -> Bool {
        let magic = page.u16(PageHeader.magicOffset)
        let address = LSN(page.u64(PageHeader.addressOffset))
        let expected = start + offset
        if magic != version.magic || address != expected {
            if page.isZero(0..<PageHeader.pageSize) {
                try endEarly(.zero, page, at: 0)
                return false
            }
            guard magic == version.magic else {
                throw damage(.pageMagic(found: magic, expected: version.magic))
            }
            guard contents == .partial else { throw damage(.pageAddress(found: address, expected: expected)) }
            try endEarly(.stale, page, at: 0)
            return false
        }
        let flags = page.u16(PageHeader.flagsOffset)
        guard flags & ~PageHeader.knownFlags == 0, flags & PageHeader.isLong == 0 else {
            throw damage(.pageFlags(flags))
        }
        let timeline = TimelineID(page.u32(PageHeader.timelineOffset))
        let allowed = lastTimeline.rawValue...max(lastTimeline.rawValue, name?.timeline.rawValue ?? .max)
        guard allowed.contains(timeline.rawValue) else {
            throw damage(.pageTimeline(found: timeline, allowed: allowed))
        }
        lastTimeline = timeline
        guard page.u32(PageHeader.paddingOffset) == 0 else { throw damage(.pagePadding, at: PageHeader.paddingOffset) }
        return true
    }

    /// The page says that the record expected on it was abandoned after a crash.
    private mutating func abandon(isFirst: Bool, flags: UInt16) throws(WALDamage) {
        switch state {
        case .record:
            mustReport = open?.lsn
            forgetOpenRecord()
        case .head:
            head?.isAbandoned = true
            mustReport = .zero
        default:
            // Only on the first page can the abandoned record be an unknown one.
            guard isFirst, previous == .zero || !goesOn else { throw damage(.pageFlags(flags)) }
            mustReport = .zero
        }
        if isFirst { startsAfterAbandoned = true }
        state = .boundary
    }

    // MARK: The end

    /// The WAL ends before the segment does.
    mutating func endEarly(_ how: SegmentEnding, _ page: RawSpan, at position: Int) throws(WALDamage) {
        if contents == .completed {
            let isStraddlingSwitch = head.map { $0.length == $0.missing && $0.length <= 16 && !$0.isAbandoned } ?? false
            guard isStraddlingSwitch, firstRecord == nil, state == .boundary, how == .zero else {
                throw damage(.endsEarly, at: position)
            }
        }
        ending = how
        state = .ended
        // The rest of a segment switch looks the same in a completed segment, where it isn't an early end.
        if contents == .partial, how == .zero, firstRecord == nil, head.map({ $0.length <= 16 }) ?? false {
            ending = .stale
        }
        forgetOpenRecord()
        if contents == .completed { try checkZero(page, from: position) }
    }

    /// The first invalid page or record ends a file that need not be full, as it ends recovery
    /// (`XLogReaderValidatePageHeader`, `ValidXLogRecordHeader` and `ValidXLogRecord`,
    /// src/backend/access/transam/xlogreader.c): the rest is from the file's earlier use. A completed segment is
    /// damaged there.
    mutating func end(before damage: WALDamage) throws(WALDamage) {
        guard contents == .partial, state != .segmentStart else { throw damage }
        guard state != .ended else { return }
        ending = .stale
        state = .ended
        mustReport = nil
        forgetOpenRecord()
    }

    /// A page after the end of the records.
    ///
    /// Behind a segment switch anything may follow: a cascading WAL sender takes the segment's end for the end of what
    /// its server has (`GetStandbyFlushRecPtr`, src/backend/replication/walsender.c, and `XLogReadRecord`, which lets
    /// an `XLOG_SWITCH` extend to the end of the segment), and sends what its recycled file held before.
    private mutating func checkAfterEnd(_ page: RawSpan) throws(WALDamage) {
        guard ending != .switch else { return }
        let belongsHere =
            page.u16(PageHeader.magicOffset) == version.magic
            && LSN(page.u64(PageHeader.addressOffset)) == start + offset
        if belongsHere, contents == .completed { throw damage(.endsEarly) }
        if belongsHere { hasPagesAfterEnd = true }
    }

    private mutating func checkZero(_ page: RawSpan, from position: Int) throws(WALDamage) {
        guard page.isZero(position..<PageHeader.pageSize) else { throw damage(.endsEarly, at: position) }
    }
}
