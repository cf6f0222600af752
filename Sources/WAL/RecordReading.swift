/// Record by record: header, checksum, parts. This loop determines how fast WAL is read: it neither allocates nor
/// copies.
extension SegmentReader {
    /// Reads the records that start on the page from `position` on.
    mutating func records<Visitor: RecordVisitor & ~Copyable>(
        _ page: RawSpan, from position: Int, _ visitor: inout Visitor
    ) throws(WALDamage) {
        let pageSize = PageHeader.pageSize
        let pageStart = start + offset
        let longest = version.longestRecord
        var at = position
        while at < pageSize {
            let announced = page.u32(at)
            guard announced >= 24, announced <= longest else {
                guard announced == 0 else { throw damage(.recordLength(announced), at: at) }
                return try endEarly(.zero, page, at: at)
            }
            let total = Int(announced)
            let room = pageSize &- at
            let lsn = pageStart + UInt64(at)
            if room >= 24 { try checkHeader(page, at: at, lsn) }
            guard total <= room else {
                open = UnfinishedRecord(lsn: lsn, total: total, headerIsSplit: room < 24)
                buffer.removeAll(keepingCapacity: true)
                open?.add(page, at..<pageSize, to: &buffer)
                state = .record
                return
            }
            let record = page.extracting(unchecked: Range(uncheckedBounds: (at, at &+ total)))
            let (stored, computed) = (record.present32(20), record.recordCRC)
            guard stored == computed else { throw damage(.recordCRC(found: stored, computed: computed), at: at) }
            let next = aligned(at &+ total)
            // The padding is the rest of the record's last eight bytes.
            guard page.present64(next &- 8) >> UInt64(64 &- 8 &* (next &- at &- total)) == 0 else {
                throw damage(.recordPadding, at: at + total)
            }
            let goesOn = try accept(record, total: total, lsn: lsn, next: pageStart + UInt64(next), &visitor)
            at = next
            if !goesOn { return }
        }
    }

    /// All bytes of the open record are in `buffer`.
    mutating func finishOpenRecord<Visitor: RecordVisitor & ~Copyable>(
        paddedTo next: UInt64, _ visitor: inout Visitor
    ) throws(WALDamage) {
        guard let unfinished = open else { return }
        // Moved out while it is read, so that it isn't copied.
        var bytes: [UInt8] = []
        swap(&bytes, &buffer)
        do {
            let record = bytes.span.bytes
            if unfinished.headerIsSplit { try checkHeader(record, at: 0, unfinished.lsn) }
            let stored = record.u32(20)
            let computed = ~record.crc(unfinished.crc, 0..<20)
            guard stored == computed else {
                throw damage(.recordCRC(found: stored, computed: computed), of: unfinished.lsn)
            }
            open = nil
            _ = try accept(record, total: unfinished.total, lsn: unfinished.lsn, next: start + next, &visitor)
        }
        swap(&bytes, &buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    /// Checks the header at `at`, which is complete.
    @inline(__always)
    private mutating func checkHeader(_ bytes: RawSpan, at: Int, _ lsn: LSN) throws(WALDamage) {
        let manager = ResourceManager(rawValue: bytes.present8(at &+ 17))
        let before = LSN(bytes.present64(at &+ 8))
        guard manager.isValid else { throw damage(.recordManager(manager.rawValue), of: lsn) }
        guard previous == .zero ? before < start : before == previous else {
            throw damage(.previousRecord(found: before, expected: previous == .zero ? nil : previous), of: lsn)
        }
    }

    /// Takes a record whose checksum is correct, and whose header is therefore complete. Returns false after the last
    /// one.
    @inline(__always)
    private mutating func accept<Visitor: RecordVisitor & ~Copyable>(
        _ record: RawSpan, total: Int, lsn: LSN, next: LSN, _ visitor: inout Visitor
    ) throws(WALDamage) -> Bool {
        let header = RecordHeader(
            lsn: lsn, previous: LSN(record.present64(8)), length: UInt32(truncatingIfNeeded: total),
            xid: record.present32(4), info: record.present8(16),
            manager: ResourceManager(rawValue: record.present8(17)), crc: record.present32(20))
        guard let mainStart = readBlocks(record, total: total, version: version, &visitor) else {
            throw damage(.recordContent, of: lsn)
        }
        let isSwitch = header.manager == .xlog && header.info & RecordInfo.operation == XLogInfo.switchSegment
        let main = record.extracting(min(mainStart, record.byteCount)..<record.byteCount)
        if mustReport != nil { try checkReport(header, main) }
        end = isSwitch ? start + UInt64(segmentSize) : next
        if lsn >= start {
            if firstRecord == nil {
                firstRecord = lsn
                firstPrevious = header.previous
            }
            lastRecord = lsn
        }
        previous = lsn
        visitor.contents(record, header, version: version)
        switch visitor.record(header, end: end, version: version, main: main) {
        case .good: break
        case .malformed: throw damage(.recordContent, of: lsn)
        case .stop: isStopped = true
        }
        if isSwitch {
            state = .ended
            ending = .switch
        }
        return !isSwitch && !isStopped
    }

    /// The first record after an abandoned one must name it (`XLOG_OVERWRITE_CONTRECORD`).
    @inline(never)
    private mutating func checkReport(_ header: RecordHeader, _ main: RawSpan) throws(WALDamage) {
        let abandoned = mustReport
        mustReport = nil
        guard header.manager == .xlog, header.info & RecordInfo.operation == XLogInfo.overwriteContinuation,
            main.byteCount >= 8,
            abandoned == .zero || LSN(main.u64(0)) == abandoned
        else { throw damage(.abandonedRecord, of: header.lsn) }
        let reported = LSN(main.u64(0))
        if reported < start { abandonedRecord = reported }
    }
}
