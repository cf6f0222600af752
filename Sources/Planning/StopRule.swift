public import WAL

/// Where PostgreSQL stops: before or after which record.
public struct StoppingPoint: Hashable, Sendable {
    public var record: ReplayRecord
    /// True when the record is replayed, false when replay ends just before it.
    public var after: Bool
    /// Everything before this position is replayed, nothing from it on.
    public var position: LSN { after ? record.end : record.start }
    public init(record: ReplayRecord, after: Bool) { (self.record, self.after) = (record, after) }
}

/// The decisions of `recoveryStopsBefore` and `recoveryStopsAfter` (src/backend/access/transam/xlogrecovery.c, before
/// version 15 in xlog.c; the same from 13 to 18), record by record.
///
/// - A time is compared with commits and aborts, prepared or not – never with restore points. Stops before the first
///   one that is later (inclusive), or not earlier (exclusive).
/// - A transaction is compared for equality; transactions end in another order than they start in.
/// - An LSN is compared with the start of every record, whatever its kind.
/// - Of restore points with the same name the first after the backup's start wins, and is replayed.
struct StopRule {
    let target: RecoveryTarget
    /// Where the backup becomes consistent.
    let consistent: LSN

    /// Whether replay may stop at any record, and not only at a transaction's end or a restore point.
    var asksEveryRecord: Bool {
        switch target.point {
        case .lsn, .immediate: true
        case .time, .xid, .name, .latest: false
        }
    }

    /// The stopping point if replay stops at `record`.
    func stop(at record: ReplayRecord) -> StoppingPoint? {
        switch target.point {
        case .latest: return nil
        case .immediate:
            return record.start >= consistent ? StoppingPoint(record: record, after: false) : nil
        case .lsn(let lsn):
            return record.start >= lsn ? StoppingPoint(record: record, after: target.inclusive) : nil
        case .name(let name):
            guard case .restorePoint(let point) = record.content, point.name == name else { return nil }
            return StoppingPoint(record: record, after: true)
        case .xid(let xid):
            guard let end = record.content.transactionEnd, end.xid == xid else { return nil }
            return StoppingPoint(record: record, after: target.inclusive)
        case .time(let time):
            guard let end = record.content.transactionEnd,
                target.inclusive ? end.time > time : end.time >= time
            else { return nil }
            return StoppingPoint(record: record, after: false)
        }
    }

    /// Whether a segment with these facts may hold the stop; false is certain, true is not.
    func mayStop(in facts: SegmentOutline) -> Bool {
        switch target.point {
        case .latest: return false
        case .immediate: return facts.lastRecord.map { $0 >= consistent } ?? false
        case .lsn(let lsn): return facts.lastRecord.map { $0 >= lsn } ?? false
        case .name(let name): return facts.restorePoints.contains { $0.name == name }
        case .xid(let xid):
            guard facts.hasEnds else { return false }
            guard let low = facts.lowestXID, let high = facts.highestXID, low <= high else { return true }
            return (low...high).contains(xid)
        case .time(let time):
            guard let latest = facts.latestEnd else { return false }
            return target.inclusive ? latest > time : latest >= time
        }
    }
}
