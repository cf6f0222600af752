/// The state machine that reads a segment's pages: checks page headers, puts records together, checks each, and gives
/// it to a visitor.
///
/// It starts with every segment anew, or — when `goesOn` — carries the record that is open at a segment's end into the
/// next one.
struct SegmentReader {
    private enum State { case segmentStart, head, boundary, record, ended }

    /// Where it belongs and what it must be.
    private(set) var name: SegmentName?
    private(set) var length: UInt64 = 0
    private var contents = SegmentContents.completed
    private let systemIdentifierWanted: UInt64?
    private let goesOn: Bool

    /// What its first page says.
    private(set) var version = WALVersion.v15
    private(set) var systemIdentifier: UInt64 = 0
    private(set) var segmentSize: UInt32 = 0
    private(set) var start = LSN.zero
    private(set) var firstTimeline = TimelineID(0)
    private(set) var lastTimeline = TimelineID(0)
    private(set) var startsAfterAbandoned = false
    /// The abandoned record of an earlier segment, as the record in its place names it.
    private(set) var abandonedRecord: LSN?

    /// What the records showed.
    private(set) var firstRecord: LSN?
    private(set) var firstPrevious: LSN?
    private(set) var lastRecord: LSN?
    private(set) var end = LSN.zero
    private(set) var ending = SegmentEnding.full
    private(set) var isStopped = false
    private(set) var head: HeadFragment?

    private var state = State.segmentStart
    /// Bytes of the segment read so far: the offset of the current page.
    private var offset: UInt64 = 0
    /// Start of the last complete record; of an earlier segment's too when going on. 0 is none.
    private var previous = LSN.zero
    /// The next record must report the abandonment of this one (0: of one that isn't known).
    private var mustReport: LSN?

    /// The record under construction.
    private var openLSN = LSN.zero
    private var openTotal = 0
    private var openHave = 0
    private var openCRC: UInt32 = 0
    private var openHeaderWasSplit = false
    /// Its bytes; only the first 4 KiB of a logical message.
    private(set) var buffer: [UInt8] = []

    private static let messagePrefix = 4096

    init(goesOn: Bool, systemIdentifier: UInt64? = nil) {
        self.goesOn = goesOn
        systemIdentifierWanted = systemIdentifier
    }

    mutating func begin(_ name: SegmentName?, length: UInt64, contents: SegmentContents) {
        self.name = name
        self.length = length
        self.contents = contents
        state = .segmentStart
        offset = 0
        head = nil
        firstRecord = nil
        firstPrevious = nil
        lastRecord = nil
        ending = .full
        startsAfterAbandoned = false
        abandonedRecord = nil
        if !goesOn {
            previous = .zero
            forgetOpenRecord()
        }
    }

    private func damage(_ reason: WALDamage.Reason, at position: Int = 0) -> WALDamage {
        let at = offset + UInt64(position)
        return WALDamage(reason, offset: at, lsn: segmentSize == 0 ? nil : start + at, segment: name)
    }

    /// Damage to the open record, which started before this page.
    private func openDamage(_ reason: WALDamage.Reason) -> WALDamage {
        WALDamage(reason, offset: openLSN >= start ? openLSN - start : 0, lsn: openLSN, segment: name)
    }

    mutating func feed<Visitor: RecordVisitor & ~Copyable>(
        _ chunk: RawSpan, _ visitor: inout Visitor
    ) throws(WALDamage) {
        let count = chunk.byteCount
        guard count % PageHeader.pageSize == 0 else {
            throw damage(.length(found: length, expected: (length / 8192 + 1) * 8192))
        }
        var at = 0
        while at < count {
            if isStopped { return }
            if state != .segmentStart, offset >= UInt64(segmentSize) {
                throw damage(.length(found: offset + UInt64(count - at), expected: UInt64(segmentSize)))
            }
            try page(chunk.extracting(at..<at + PageHeader.pageSize), &visitor)
            offset += UInt64(PageHeader.pageSize)
            at += PageHeader.pageSize
        }
    }

    /// The segment's bytes are all in.
    mutating func endSegment() throws(WALDamage) {
        if isStopped { return }
        guard state != .segmentStart else {
            throw damage(.length(found: length, expected: max(8192, length)))
        }
        guard offset == UInt64(segmentSize) else {
            throw damage(.length(found: offset, expected: UInt64(segmentSize)))
        }
    }

    /// The record that is open at the segment's end.
    var tail: TailFragment? {
        guard state == .record, offset == UInt64(segmentSize) else { return nil }
        return TailFragment(
            lsn: openLSN, total: UInt32(openTotal), length: UInt32(openHave), header: Array(buffer.prefix(24)),
            crc: openCRC,
            bytes: openHave <= HeadFragment.storedBytes && buffer.count == openHave ? Array(buffer) : nil)
    }

    // MARK: Pages

    private mutating func page<Visitor: RecordVisitor & ~Copyable>(
        _ page: RawSpan, _ visitor: inout Visitor
    ) throws(WALDamage) {
        if state == .ended { return try checkAfterEnd(page) }
        var at = PageHeader.short
        if state == .segmentStart {
            try startSegment(page)
            at = PageHeader.long
        } else {
            guard try continuesLog(page) else { return }
        }
        let flags = page.u16(PageHeader.flagsOffset)
        let missing = page.u32(PageHeader.missingOffset)

        if flags & PageHeader.afterAbandoned != 0 {
            guard flags & PageHeader.continues == 0 else { throw damage(.pageFlags(flags)) }
            try abandon(isFirst: offset == 0, flags: flags)
        }
        switch state {
        case .record, .head:
            let expected = state == .head ? head.map { $0.missing - $0.length } ?? 0 : UInt32(openTotal - openHave)
            guard flags & PageHeader.continues != 0, missing == expected else {
                throw damage(.continuation(found: missing, expected: expected))
            }
            let count = min(Int(missing), PageHeader.pageSize - at)
            let piece = at..<at + count
            at += count
            if state == .head {
                addToHead(page, piece)
                guard count == Int(missing) else { return }
                state = .boundary
            } else {
                extendOpenRecord(page, piece)
                guard openHave == openTotal else { return }
                state = .boundary
                try finishOpenRecord(paddedTo: offset + UInt64(aligned(at)), &visitor)
                if state == .ended {
                    try checkZero(page, from: at)
                    return
                }
            }
            guard page.isZero(at..<aligned(at)) else { throw damage(.recordPadding, at: at) }
            at = aligned(at)
            if end < start + offset + UInt64(at) { end = start + offset + UInt64(at) }
        default:
            guard flags & PageHeader.continues == 0, missing == 0 else {
                throw damage(.continuation(found: missing, expected: 0))
            }
        }
        if isStopped { return }
        try records(page, from: at, &visitor)
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
        if goesOn, openCarry {
            state = .record
        } else if flags & PageHeader.continues != 0, previous == .zero {
            let missing = page.u32(PageHeader.missingOffset)
            guard missing > 0 else { throw damage(.continuation(found: 0, expected: 1)) }
            head = HeadFragment(missing: missing, length: 0, isAbandoned: false, crc: [0, 0, 0], start: [], bytes: [])
            state = .head
        }
    }

    /// A record is open from the segment before.
    private var openCarry: Bool { openHave > 0 && openHave < openTotal }

    /// Checks the header of a page that isn't the first. False: WAL ends here, as it may.
    private mutating func continuesLog(_ page: RawSpan) throws(WALDamage) -> Bool {
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

    /// The page says that the record expected on it was given up after a crash.
    private mutating func abandon(isFirst: Bool, flags: UInt16) throws(WALDamage) {
        switch state {
        case .record:
            mustReport = openLSN
            forgetOpenRecord()
        case .head:
            head?.isAbandoned = true
            mustReport = .zero
        default:
            // Only on the first page can the abandoned record be one that isn't known.
            guard isFirst, previous == .zero || !goesOn else { throw damage(.pageFlags(flags)) }
            mustReport = .zero
        }
        if isFirst { startsAfterAbandoned = true }
        state = .boundary
    }

    private mutating func forgetOpenRecord() {
        openHave = 0
        openTotal = 0
        buffer.removeAll(keepingCapacity: true)
    }

    /// WAL ends before the segment does.
    private mutating func endEarly(_ how: SegmentEnding, _ page: RawSpan, at position: Int) throws(WALDamage) {
        if contents == .completed {
            let isStraddlingSwitch = head.map { $0.length == $0.missing && $0.length <= 16 && !$0.isAbandoned } ?? false
            guard isStraddlingSwitch, firstRecord == nil, state == .boundary, how == .zero else {
                throw damage(.endsEarly, at: position)
            }
        }
        ending = how
        state = .ended
        forgetOpenRecord()
        if contents == .completed { try checkZero(page, from: position) }
    }

    private func checkAfterEnd(_ page: RawSpan) throws(WALDamage) {
        if contents == .completed || ending == .switch { try checkZero(page, from: 0) }
    }

    private func checkZero(_ page: RawSpan, from position: Int) throws(WALDamage) {
        guard page.isZero(position..<PageHeader.pageSize) else {
            throw damage(ending == .switch ? .afterSwitch : .endsEarly, at: position)
        }
    }

    private mutating func addToHead(_ page: RawSpan, _ piece: Range<Int>) {
        guard var fragment = head else { return }
        head = nil
        let had = Int(fragment.length)
        for (index, skip) in [0, 8, 16].enumerated() {
            let from = min(piece.lowerBound + max(0, skip - had), piece.upperBound)
            fragment.crc[index] = page.crc(fragment.crc[index], from..<piece.upperBound)
        }
        var at = piece.lowerBound
        while fragment.start.count < 16, at < piece.upperBound {
            fragment.start.append(page.u8(at))
            at += 1
        }
        fragment.length += UInt32(piece.count)
        if fragment.length <= HeadFragment.storedBytes {
            page.extracting(piece).withUnsafeBytes { fragment.bytes?.append(contentsOf: $0) }
        } else {
            fragment.bytes = nil
        }
        head = fragment
    }

    // MARK: Records

    @inline(__always)
    private func aligned(_ position: Int) -> Int { (position + 7) & ~7 }

    private mutating func records<Visitor: RecordVisitor & ~Copyable>(
        _ page: RawSpan, from position: Int, _ visitor: inout Visitor
    ) throws(WALDamage) {
        let pageSize = PageHeader.pageSize
        let maximum: UInt32 = version >= .v16 ? 1020 << 20 : (1 << 30) - 1
        var at = position
        while at < pageSize {
            let total = page.u32(at)
            if total < 24 || total > maximum {
                guard total == 0 else { throw damage(.recordLength(total), at: at) }
                return try endEarly(.zero, page, at: at)
            }
            let room = pageSize - at
            if room >= 24 { try checkHeader(page, at: at, lsn: start + offset + UInt64(at)) }
            guard Int(total) <= room else {
                openRecord(page, at: at, total: Int(total))
                return
            }
            let next = aligned(at + Int(total))
            let record = page.extracting(at..<at + Int(total))
            let stored = record.u32(20)
            let computed = ~record.crc(record.crc(0xFFFF_FFFF, 24..<Int(total)), 0..<20)
            guard stored == computed else { throw damage(.recordCRC(found: stored, computed: computed), at: at) }
            guard next == at + Int(total) || page.isZero(at + Int(total)..<next) else {
                throw damage(.recordPadding, at: at + Int(total))
            }
            try accept(
                record, total: Int(total), lsn: start + offset + UInt64(at), next: start + offset + UInt64(next),
                &visitor)
            at = next
            if state == .ended { return try checkZero(page, from: at) }
            if isStopped { return }
        }
    }

    private func checkHeader(_ bytes: RawSpan, at: Int, lsn: LSN) throws(WALDamage) {
        let manager = ResourceManager(rawValue: bytes.u8(at + 17))
        let before = LSN(bytes.u64(at + 8))
        guard manager.isValid else {
            throw WALDamage(.recordManager(manager.rawValue), offset: offsetOf(lsn), lsn: lsn, segment: name)
        }
        guard previous == .zero ? before < start : before == previous else {
            throw WALDamage(
                .previousRecord(found: before, expected: previous == .zero ? nil : previous), offset: offsetOf(lsn),
                lsn: lsn, segment: name)
        }
    }

    private func offsetOf(_ lsn: LSN) -> UInt64 { lsn >= start ? lsn - start : 0 }

    private mutating func openRecord(_ page: RawSpan, at: Int, total: Int) {
        openLSN = start + offset + UInt64(at)
        openTotal = total
        openHave = 0
        openCRC = 0xFFFF_FFFF
        openHeaderWasSplit = PageHeader.pageSize - at < 24
        buffer.removeAll(keepingCapacity: true)
        state = .record
        extendOpenRecord(page, at..<PageHeader.pageSize)
    }

    private mutating func extendOpenRecord(_ page: RawSpan, _ piece: Range<Int>) {
        let body = min(piece.lowerBound + max(0, 24 - openHave), piece.upperBound)
        openCRC = page.crc(openCRC, body..<piece.upperBound)
        openHave += piece.count
        let isMessage = buffer.count >= 24 && buffer[17] == ResourceManager.logicalMessage.rawValue
        if !isMessage || buffer.count < SegmentReader.messagePrefix {
            page.extracting(piece).withUnsafeBytes { buffer.append(contentsOf: $0) }
        }
    }

    private mutating func finishOpenRecord<Visitor: RecordVisitor & ~Copyable>(
        paddedTo next: UInt64, _ visitor: inout Visitor
    ) throws(WALDamage) {
        // Out of the way while it is read, so that it isn't copied.
        var bytes: [UInt8] = []
        swap(&bytes, &buffer)
        let (total, lsn) = (openTotal, openLSN)
        do {
            let record = bytes.span.bytes
            if openHeaderWasSplit { try checkHeader(record, at: 0, lsn: lsn) }
            let stored = record.u32(20)
            let computed = ~record.crc(openCRC, 0..<20)
            guard stored == computed else { throw openDamage(.recordCRC(found: stored, computed: computed)) }
            openHave = 0
            openTotal = 0
            try accept(record, total: total, lsn: lsn, next: start + next, &visitor)
        }
        swap(&bytes, &buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    /// Takes a record whose checksum is right.
    @inline(__always)
    private mutating func accept<Visitor: RecordVisitor & ~Copyable>(
        _ record: RawSpan, total: Int, lsn: LSN, next: LSN, _ visitor: inout Visitor
    ) throws(WALDamage) {
        let header = RecordHeader(
            lsn: lsn, previous: LSN(record.u64(8)), length: UInt32(total), xid: record.u32(4), info: record.u8(16),
            manager: ResourceManager(rawValue: record.u8(17)), crc: record.u32(20))
        guard let mainStart = readBlocks(record, total: total, version: version, &visitor) else {
            throw WALDamage(.recordContent, offset: offsetOf(lsn), lsn: lsn, segment: name)
        }
        let isSwitch = header.manager == .xlog && header.info & 0xF0 == 0x40
        let main = min(mainStart, record.byteCount)..<record.byteCount
        if mustReport != nil { try checkReport(header, record, main) }
        end = isSwitch ? start + UInt64(segmentSize) : next
        if lsn >= start {
            if firstRecord == nil {
                firstRecord = lsn
                firstPrevious = header.previous
            }
            lastRecord = lsn
        }
        previous = lsn
        if isSwitch {
            state = .ended
            ending = .switch
        }
        switch visitor.record(header, end: end, version: version, main: record.extracting(main)) {
        case .good: break
        case .malformed: throw WALDamage(.recordContent, offset: offsetOf(lsn), lsn: lsn, segment: name)
        case .stop: isStopped = true
        }
    }

    /// The first record after an abandoned one must name it (`XLOG_OVERWRITE_CONTRECORD`).
    private mutating func checkReport(
        _ header: RecordHeader, _ record: RawSpan, _ main: Range<Int>
    ) throws(WALDamage) {
        let abandoned = mustReport
        mustReport = nil
        guard header.manager == .xlog, header.info & 0xF0 == 0xD0, main.count >= 8,
            abandoned == .zero || LSN(record.u64(main.lowerBound)) == abandoned
        else {
            throw WALDamage(.abandonedRecord, offset: offsetOf(header.lsn), lsn: header.lsn, segment: name)
        }
        let reported = LSN(record.u64(main.lowerBound))
        if reported < start { abandonedRecord = reported }
    }
}
