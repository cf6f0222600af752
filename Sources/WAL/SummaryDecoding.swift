extension SegmentSummary {
    /// Reads a stored summary. Sections it doesn't know are skipped.
    public init(decoding bytes: RawSpan) throws(BadSummary) {
        try self.init(decoding: bytes.withUnsafeBytes { Array($0) })
    }

    /// Reads a stored summary. Sections it doesn't know are skipped.
    public init(decoding bytes: [UInt8]) throws(BadSummary) {
        var reader = SummaryReader(bytes)
        let format = try reader.byte()
        guard format == SegmentSummary.formatVersion else {
            throw BadSummary(offset: 0, reason: "Its format has the number \(format), which is not known.")
        }
        var summary: SegmentSummary?
        var facts = SegmentFacts()
        var head: HeadFragment?
        var tail: TailFragment?
        var records: (first: LSN?, previous: LSN?, last: LSN?, end: LSN)?
        var blockMap: [UInt8] = []
        var headBytes: [UInt8]?
        var tailBytes: [UInt8]?
        while !reader.isAtEnd {
            var (tag, payload) = try reader.section()
            switch SummarySection(rawValue: tag) {
            case .place: summary = try SegmentSummary(place: &payload)
            case .records:
                records = (
                    try payload.optionalLSN(), try payload.optionalLSN(), try payload.optionalLSN(), try payload.lsn()
                )
            case .head:
                head = HeadFragment(
                    missing: try payload.number32(), length: try payload.number32(), isAbandoned: try payload.flag(),
                    crc: [try payload.number32(), try payload.number32(), try payload.number32()],
                    start: try payload.blob(), bytes: nil)
            case .tail:
                tail = TailFragment(
                    lsn: try payload.lsn(), total: try payload.number32(), length: try payload.number32(), header: [],
                    crc: try payload.number32(), bytes: nil)
                tail?.header = try payload.blob()
            case .blockMap: blockMap = try payload.fixed(payload.end - payload.at)
            case .headBytes: headBytes = try payload.fixed(payload.end - payload.at)
            case .tailBytes: tailBytes = try payload.fixed(payload.end - payload.at)
            case .some(let section): try facts.read(section, &payload)
            case nil: continue
            }
        }
        guard var summary, let records else { throw reader.bad("A part that every summary has is missing.") }
        summary.firstRecord = records.first
        summary.firstPrevious = records.previous
        summary.lastRecord = records.last
        summary.end = records.end
        head?.bytes = headBytes
        tail?.bytes = tailBytes
        summary.head = head
        summary.tail = tail
        summary.facts = facts
        summary.blockMap = blockMap
        self = summary
    }

    private init(place reader: inout SummaryReader) throws(BadSummary) {
        guard let magic = UInt16(exactly: try reader.number()), let version = WALVersion(magic: magic) else {
            throw reader.bad("It is of an unknown version of PostgreSQL.")
        }
        let identifier = try reader.number()
        let size = try reader.number32()
        guard size >= 1 << 20, size <= 1 << 30, size & (size - 1) == 0 else {
            throw reader.bad("The segment size \(size) is not possible.")
        }
        let start = try reader.lsn()
        guard start.rawValue % UInt64(size) == 0, start.rawValue <= UInt64.max - UInt64(size) else {
            throw reader.bad("The segment cannot start at \(start).")
        }
        let timelines = (first: TimelineID(try reader.number32()), last: TimelineID(try reader.number32()))
        guard let ending = SegmentEnding(rawValue: UInt8(truncatingIfNeeded: try reader.number())) else {
            throw reader.bad("The segment's ending is of an unknown kind.")
        }
        self.init(
            version: version, systemIdentifier: identifier, segmentSize: size, start: start,
            firstTimeline: timelines.first, lastTimeline: timelines.last, firstRecord: nil, firstPrevious: nil,
            lastRecord: nil, end: start, ending: ending, startsAfterAbandoned: try reader.flag(),
            abandonedRecord: try reader.optionalLSN(), head: nil, tail: nil, facts: SegmentFacts(), blockMap: [])
    }
}

extension SegmentFacts {
    /// Reads facts stored without a summary.
    public init(decoding bytes: [UInt8]) throws(BadSummary) {
        self.init()
        var reader = SummaryReader(bytes)
        guard try reader.byte() == SegmentSummary.formatVersion else {
            throw BadSummary(offset: 0, reason: "Its format is not known.")
        }
        while !reader.isAtEnd {
            var (tag, payload) = try reader.section()
            if let section = SummarySection(rawValue: tag) { try read(section, &payload) }
        }
    }

    /// Reads one of the sections that `write` produces; ignores others.
    fileprivate mutating func read(_ section: SummarySection, _ reader: inout SummaryReader) throws(BadSummary) {
        switch section {
        case .counts:
            records = try reader.number()
            recordBytes = try reader.number()
            images = try reader.number()
            imageBytes = try reader.number()
            commits = try reader.number()
            aborts = try reader.number()
            prepares = try reader.number()
            blockMapUnsound = try reader.optionalLSN()
            minimalWAL = try reader.flag()
        case .commits:
            firstCommit = try reader.optionalMark()
            lastCommit = try reader.optionalMark()
            earliestCommit = try reader.optionalMark()
            latestCommit = try reader.optionalMark()
            earliestStop = try reader.optionalMoment()
            latestStop = try reader.optionalMoment()
            lowestXID = try reader.optional32()
            highestXID = try reader.optional32()
        case .restorePoints:
            restorePoints = try reader.list { reader throws(BadSummary) in
                RestorePoint(
                    lsn: try reader.lsn(), end: try reader.lsn(), time: try reader.moment(), name: try reader.text())
            }
        case .checkpoints: checkpoints = try reader.list { reader throws(BadSummary) in try reader.checkpoint() }
        case .backupEnds:
            backupEnds = try reader.list { reader throws(BadSummary) in
                BackupEnd(lsn: try reader.lsn(), end: try reader.lsn(), start: try reader.lsn())
            }
        case .timelineSwitches:
            timelineSwitches = try reader.list { reader throws(BadSummary) in
                TimelineSwitch(
                    lsn: try reader.lsn(), time: try reader.moment(), timeline: TimelineID(try reader.number32()),
                    previous: TimelineID(try reader.number32()), isPromotion: try reader.flag())
            }
        case .parameterChanges:
            parameterChanges = try reader.list { reader throws(BadSummary) in try reader.parameterChange() }
        case .removals: removals = try reader.list { reader throws(BadSummary) in try reader.removal() }
        default: try readRare(section, &reader)
        }
    }

    private mutating func readRare(_ section: SummarySection, _ reader: inout SummaryReader) throws(BadSummary) {
        switch section {
        case .truncations:
            truncations = try reader.list { reader throws(BadSummary) in
                StorageTruncation(
                    lsn: try reader.lsn(), xid: try reader.number32(), file: try reader.file(),
                    blocks: try reader.number32(), forks: try reader.number32())
            }
        case .heapTruncations:
            heapTruncations = try reader.list { reader throws(BadSummary) in
                HeapTruncation(
                    lsn: try reader.lsn(), xid: try reader.number32(), database: try reader.number32(),
                    flags: UInt8(truncatingIfNeeded: try reader.number32()),
                    relations: try reader.list { reader throws(BadSummary) in try reader.number32() })
            }
        case .databaseCreations:
            databaseCreations = try reader.list { reader throws(BadSummary) in
                DatabaseCreation(
                    lsn: try reader.lsn(), xid: try reader.number32(), database: try reader.number32(),
                    tablespace: try reader.number32(), copiedFrom: try reader.optional32())
            }
        case .databaseDrops:
            databaseDrops = try reader.list { reader throws(BadSummary) in
                DatabaseDrop(
                    lsn: try reader.lsn(), xid: try reader.number32(), database: try reader.number32(),
                    tablespaces: try reader.list { reader throws(BadSummary) in try reader.number32() })
            }
        case .tablespaceDrops:
            tablespaceDrops = try reader.list { reader throws(BadSummary) in
                TablespaceDrop(lsn: try reader.lsn(), xid: try reader.number32(), tablespace: try reader.number32())
            }
        case .tablespaceCreations:
            tablespaceCreations = try reader.list { reader throws(BadSummary) in
                TablespaceCreation(
                    lsn: try reader.lsn(), xid: try reader.number32(), tablespace: try reader.number32(),
                    location: try reader.text())
            }
        case .openTransactions:
            openTransactions = try reader.list { reader throws(BadSummary) in
                let (xid, created) = (try reader.number32(), try reader.numbers())
                return OpenTransaction(xid: xid, locks: try reader.locks(), createdFiles: created)
            }
        case .databaseRows:
            databaseRows = try reader.list { reader throws(BadSummary) in
                DatabaseRowChange(
                    lsn: try reader.lsn(), xid: try reader.number32(), block: try reader.number32(),
                    row: UInt16(truncatingIfNeeded: try reader.number32()), isDelete: try reader.flag())
            }
        default: break
        }
    }
}

extension SummaryReader {
    fileprivate mutating func optional32() throws(BadSummary) -> UInt32? {
        let value = try number()
        guard value <= UInt64(UInt32.max) + 1 else { throw bad("A number is too large.") }
        return value == 0 ? nil : UInt32(value - 1)
    }
    fileprivate mutating func numbers() throws(BadSummary) -> [UInt32] {
        try list { reader throws(BadSummary) in try reader.number32() }
    }
    fileprivate mutating func mark() throws(BadSummary) -> TransactionMark {
        TransactionMark(lsn: try lsn(), end: try lsn(), time: try moment(), xid: try number32())
    }
    fileprivate mutating func optionalMark() throws(BadSummary) -> TransactionMark? { try flag() ? try mark() : nil }
    fileprivate mutating func optionalMoment() throws(BadSummary) -> Moment? { try flag() ? try moment() : nil }
    fileprivate mutating func file() throws(BadSummary) -> RelationFile {
        RelationFile(tablespace: try number32(), database: try number32(), number: try number32())
    }
    fileprivate mutating func locks() throws(BadSummary) -> [RelationLock] {
        try list { reader throws(BadSummary) in
            RelationLock(
                xid: try reader.number32(), database: try reader.number32(), relation: try reader.number32())
        }
    }
    fileprivate mutating func checkpoint() throws(BadSummary) -> Checkpoint {
        let (lsn, redo) = (try lsn(), try lsn())
        let (timeline, previous) = (try number32(), try number32())
        let flags = try number32()
        let time = try moment()
        return Checkpoint(
            lsn: lsn, redo: redo, timeline: TimelineID(timeline), previousTimeline: TimelineID(previous),
            isShutdown: flags & 1 != 0, time: time, walLevel: try optional32(), nextFullXID: try number(),
            fullPageWrites: flags & 2 != 0)
    }
    fileprivate mutating func parameterChange() throws(BadSummary) -> ParameterChange {
        let lsn = try lsn()
        var values: [UInt32] = []
        for _ in 0..<6 { values.append(try number32()) }
        let flags = try number32()
        return ParameterChange(
            lsn: lsn, maxConnections: values[0], maxWorkerProcesses: values[1], maxWALSenders: values[2],
            maxPreparedTransactions: values[3], maxLocksPerTransaction: values[4], walLevel: values[5],
            walLogHints: flags & 1 != 0, trackCommitTimestamp: flags & 2 != 0)
    }
    fileprivate mutating func removal() throws(BadSummary) -> FileRemoval {
        let transaction = try mark()
        let flags = try number32()
        let (database, created) = (try number32(), try numbers())
        return FileRemoval(
            transaction: transaction, isCommit: flags & 1 != 0, isPrepared: flags & 2 != 0,
            files: try list { reader throws(BadSummary) in try reader.file() },
            droppedRelations: try list { reader throws(BadSummary) in
                FileRemoval.DroppedRelation(database: try reader.number32(), oid: try reader.number32())
            }, locks: try locks(), createdFiles: created, database: database)
    }
}
