/// The parts of a stored summary; a reader skips those it doesn't know (docs/summary-format.md).
enum SummarySection: UInt64 {
    case place = 1
    case records = 2
    case head = 3
    case tail = 4
    case counts = 5
    case commits = 6
    case restorePoints = 7
    case checkpoints = 8
    case backupEnds = 9
    case timelineSwitches = 10
    case parameterChanges = 11
    case removals = 12
    case truncations = 13
    case heapTruncations = 14
    case databaseCreations = 15
    case databaseDrops = 16
    case tablespaceDrops = 17
    case openTransactions = 18
    case databaseRows = 19
    case tablespaceCreations = 20
    case blockMap = 30
    case headBytes = 31
    case tailBytes = 32
}

extension SegmentSummary {
    /// The format's number: the first byte.
    public static let formatVersion: UInt8 = 1

    /// The summary's stored form.
    public func encode() -> [UInt8] {
        var writer = SummaryWriter()
        writer.raw([SegmentSummary.formatVersion])
        writer.section(.place) {
            $0.number(UInt32(version.magic))
            $0.number(systemIdentifier)
            $0.number(segmentSize)
            $0.lsn(start)
            $0.number(firstTimeline.rawValue)
            $0.number(lastTimeline.rawValue)
            $0.number(UInt32(ending.rawValue))
            $0.flag(startsAfterAbandoned)
            $0.lsn(abandonedRecord)
        }
        writer.section(.records) {
            $0.lsn(firstRecord)
            $0.lsn(firstPrevious)
            $0.lsn(lastRecord)
            $0.lsn(end)
        }
        if let head {
            writer.section(.head) {
                $0.number(head.missing)
                $0.number(head.length)
                $0.flag(head.isAbandoned)
                for state in head.crc { $0.number(state) }
                $0.blob(head.start)
            }
        }
        if let tail {
            writer.section(.tail) {
                $0.lsn(tail.lsn)
                $0.number(tail.total)
                $0.number(tail.length)
                $0.number(tail.crc)
                $0.blob(tail.header)
            }
        }
        facts.write(&writer)
        writer.section(.blockMap) { $0.raw(blockMap) }
        if let bytes = head?.bytes { writer.section(.headBytes) { $0.raw(bytes) } }
        if let bytes = tail?.bytes { writer.section(.tailBytes) { $0.raw(bytes) } }
        return writer.bytes
    }
}

extension SegmentFacts {
    /// The facts alone, in the format of a summary.
    public func encode() -> [UInt8] {
        var writer = SummaryWriter()
        writer.raw([SegmentSummary.formatVersion])
        write(&writer)
        return writer.bytes
    }

    /// The sections of facts, as in a summary.
    func write(_ writer: inout SummaryWriter) {
        writer.section(.counts) {
            for count in [records, recordBytes, images, imageBytes, commits, aborts, prepares] { $0.number(count) }
            $0.lsn(blockMapUnsound)
            $0.flag(minimalWAL)
        }
        if firstCommit != nil || earliestStop != nil {
            writer.section(.commits) {
                for mark in [firstCommit, lastCommit, earliestCommit, latestCommit] {
                    $0.flag(mark != nil)
                    if let mark { $0.mark(mark) }
                }
                for stop in [earliestStop, latestStop] {
                    $0.flag(stop != nil)
                    if let stop { $0.moment(stop) }
                }
                for xid in [lowestXID, highestXID] { $0.number(xid.map { UInt64($0) + 1 } ?? 0) }
            }
        }
        writer.section(.restorePoints, list: restorePoints) {
            $0.lsn($1.lsn)
            $0.lsn($1.end)
            $0.moment($1.time)
            $0.text($1.name)
        }
        writer.section(.checkpoints, list: checkpoints) {
            $0.lsn($1.lsn)
            $0.lsn($1.redo)
            $0.number($1.timeline.rawValue)
            $0.number($1.previousTimeline.rawValue)
            $0.number((($1.isShutdown ? 1 : 0) | ($1.fullPageWrites ? 2 : 0)) as UInt32)
            $0.moment($1.time)
            $0.number($1.walLevel.map { UInt64($0) + 1 } ?? 0)
            $0.number($1.nextFullXID)
        }
        writer.section(.backupEnds, list: backupEnds) {
            $0.lsn($1.lsn)
            $0.lsn($1.end)
            $0.lsn($1.start)
        }
        writer.section(.timelineSwitches, list: timelineSwitches) {
            $0.lsn($1.lsn)
            $0.moment($1.time)
            $0.number($1.timeline.rawValue)
            $0.number($1.previous.rawValue)
            $0.flag($1.isPromotion)
        }
        writer.section(.parameterChanges, list: parameterChanges) {
            $0.lsn($1.lsn)
            for value in [
                $1.maxConnections, $1.maxWorkerProcesses, $1.maxWALSenders, $1.maxPreparedTransactions,
                $1.maxLocksPerTransaction, $1.walLevel,
            ] {
                $0.number(value)
            }
            $0.number((($1.walLogHints ? 1 : 0) | ($1.trackCommitTimestamp ? 2 : 0)) as UInt32)
        }
        writer.section(.removals, list: removals) {
            $0.mark($1.transaction)
            $0.number((($1.isCommit ? 1 : 0) | ($1.isPrepared ? 2 : 0)) as UInt32)
            $0.number($1.database)
            $0.list($1.createdFiles) { $0.number($1) }
            $0.list($1.files) { $0.file($1) }
            $0.list($1.droppedRelations) {
                $0.number($1.database)
                $0.number($1.oid)
            }
            $0.list($1.locks) { $0.lock($1) }
        }
        writer.section(.truncations, list: truncations) {
            $0.lsn($1.lsn)
            $0.number($1.xid)
            $0.file($1.file)
            $0.number($1.blocks)
            $0.number($1.forks)
        }
        writer.section(.heapTruncations, list: heapTruncations) {
            $0.lsn($1.lsn)
            $0.number($1.xid)
            $0.number($1.database)
            $0.number(UInt32($1.flags))
            $0.list($1.relations) { $0.number($1) }
        }
        writer.section(.databaseCreations, list: databaseCreations) {
            $0.lsn($1.lsn)
            $0.number($1.xid)
            $0.number($1.database)
            $0.number($1.tablespace)
            $0.number($1.copiedFrom.map { UInt64($0) + 1 } ?? 0)
        }
        writer.section(.databaseDrops, list: databaseDrops) {
            $0.lsn($1.lsn)
            $0.number($1.xid)
            $0.number($1.database)
            $0.list($1.tablespaces) { $0.number($1) }
        }
        writer.section(.tablespaceDrops, list: tablespaceDrops) {
            $0.lsn($1.lsn)
            $0.number($1.xid)
            $0.number($1.tablespace)
        }
        writer.section(.openTransactions, list: openTransactions) {
            $0.number($1.xid)
            $0.list($1.createdFiles) { $0.number($1) }
            $0.list($1.locks) { $0.lock($1) }
        }
        writer.section(.databaseRows, list: databaseRows) {
            $0.lsn($1.lsn)
            $0.number($1.xid)
            $0.number($1.block)
            $0.number(UInt32($1.row))
            $0.flag($1.isDelete)
        }
        writer.section(.tablespaceCreations, list: tablespaceCreations) {
            $0.lsn($1.lsn)
            $0.number($1.xid)
            $0.number($1.tablespace)
            $0.text($1.location)
        }
    }
}

extension SummaryWriter {
    fileprivate mutating func mark(_ mark: TransactionMark) {
        lsn(mark.lsn)
        lsn(mark.end)
        moment(mark.time)
        number(mark.xid)
    }
    fileprivate mutating func file(_ file: RelationFile) {
        number(file.tablespace)
        number(file.database)
        number(file.number)
    }
    fileprivate mutating func lock(_ lock: RelationLock) {
        number(lock.xid)
        number(lock.database)
        number(lock.relation)
    }
}
