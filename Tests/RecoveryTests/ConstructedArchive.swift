import Planning
import Recovery
import WAL

/// An archive made of arrays: 64 kB segments, a record every few bytes, as many timelines as a test wants.
struct ConstructedArchive: PlanSource {
    var majorVersion = 15
    var segmentSize: UInt32 = 65_536
    var allBackups: [RestorableBackup] = []
    var allHistories: [TimelineID: TimelineHistory] = [:]
    /// Per timeline, its records from its first segment on, ancestors' bytes included.
    var records: [TimelineID: [ReplayRecord]] = [:]
    var missing: Set<SegmentName> = []
    /// Known to be damaged, and damaged without anybody knowing it.
    var broken: SegmentName?
    var unreadable: SegmentName?

    func backups() -> [RestorableBackup] { allBackups }
    func histories() -> [TimelineID: TimelineHistory] { allHistories }

    func segments() -> SegmentSet {
        var names: Set<SegmentName> = []
        for (timeline, records) in records {
            for record in records {
                names.insert(SegmentName(timeline: timeline, containing: record.start, segmentSize: segmentSize))
                names.insert(
                    SegmentName(timeline: timeline, containing: LSN(record.end.rawValue - 1), segmentSize: segmentSize))
            }
        }
        return SegmentSet(names.subtracting(missing), segmentSize: segmentSize)
    }

    /// Records that are complete in the segment; the one across its left boundary only when the segment before it is
    /// there.
    private func complete(_ path: WALSegments, _ index: Int) -> [ReplayRecord] {
        let name = path[index]
        let (start, end) = (name.start(segmentSize: segmentSize), name.end(segmentSize: segmentSize))
        return (records[name.timeline] ?? []).filter {
            $0.end > start && $0.end <= end && ($0.start >= start || index > 0)
        }
    }

    func facts(of path: WALSegments, _ range: Range<Int>) -> [SegmentOutline] {
        range.map { index in
            let all = complete(path, index)
            let ends = all.compactMap(\.content.transactionEnd)
            let commits = all.compactMap(\.content.commit)
            return SegmentOutline(
                firstRecord: all.first?.start, lastRecord: all.last?.start, earliestEnd: ends.map(\.time).min(),
                latestEnd: ends.map(\.time).max(), firstCommit: commits.first, lastCommit: commits.last,
                commits: commits.count, lowestXID: ends.map(\.xid).min(), highestXID: ends.map(\.xid).max(),
                restorePoints: all.compactMap { record in
                    if case .restorePoint(let point) = record.content { point } else { nil }
                })
        }
    }

    func firstBreak(in path: WALSegments) -> WALBreak? {
        broken.flatMap { path.index(of: $0) == nil ? nil : WALBreak($0, isLink: false, reason: "It is damaged.") }
    }

    func fault(of path: WALSegments, at index: Int) -> WALBreak? {
        path[index] == unreadable ? WALBreak(path[index], isLink: false, reason: "It is damaged.") : nil
    }

    func records(of path: WALSegments, at index: Int, visit: (ReplayRecord) throws -> Bool) throws {
        for record in complete(path, index) where try !visit(record) { return }
    }
}

/// Second `n` of the constructed history.
func second(_ n: Double) -> Moment { Moment(microseconds: 1_800_000_000_000_000 + Int64(n * 1_000_000)) }

/// Writes a history record by record.
struct WALWriter {
    var timeline = TimelineID(1)
    var position: LSN
    var written: [ReplayRecord] = []
    var step: UInt64 = 4096

    init(at position: LSN = LSN(0x100_0028), step: UInt64 = 4096) { (self.position, self.step) = (position, step) }

    @discardableResult
    mutating func other() -> ReplayRecord { add(.other) }
    @discardableResult
    mutating func commit(_ xid: UInt32, _ time: Moment) -> ReplayRecord {
        add(.commit(TransactionMark(lsn: position, end: position + step, time: time, xid: xid)))
    }
    @discardableResult
    mutating func abort(_ xid: UInt32, _ time: Moment) -> ReplayRecord {
        add(.abort(TransactionMark(lsn: position, end: position + step, time: time, xid: xid)))
    }
    @discardableResult
    mutating func restorePoint(_ name: String, _ time: Moment) -> ReplayRecord {
        add(.restorePoint(RestorePoint(lsn: position, end: position + step, time: time, name: name)))
    }
    /// A backup whose copy took no time and wrote two records.
    mutating func backup(_ label: String, _ time: Moment) -> RestorableBackup {
        let start = other().start
        let stop = other().end
        other()
        return RestorableBackup(
            label: label, timeline: timeline, start: start, stop: stop, startTime: time, stopTime: time, size: 1 << 30)
    }

    private mutating func add(_ content: ReplayRecord.Content) -> ReplayRecord {
        let record = ReplayRecord(start: position, end: position + step, content: content)
        written.append(record)
        position = record.end
        return record
    }
}

/// A cluster that takes writes on a timeline.
func living(on timeline: UInt32) -> KnownPlace {
    KnownPlace(
        timeline: TimelineID(timeline), position: .zero, takesWrites: true, witness: "The server in \"/data\" is")
}

/// One timeline: backup "a" at second 0, then commits 101…140, one a second, every tenth an abort; backup "b" at 20.5.
func oneTimeline() -> ConstructedArchive {
    var archive = ConstructedArchive()
    var log = WALWriter()
    archive.allBackups.append(log.backup("a", second(0)))
    for n in 1...40 {
        if n == 21 { archive.allBackups.append(log.backup("b", second(20.5))) }
        if n == 15 { log.restorePoint("before_release", second(14.5)) }
        if n == 30 { log.restorePoint("nightly", second(29.5)) }
        if n % 10 == 0 {
            log.abort(UInt32(100 + n), second(Double(n)))
        } else {
            log.commit(UInt32(100 + n), second(Double(n)))
        }
    }
    archive.records[TimelineID(1)] = log.written
    return archive
}
