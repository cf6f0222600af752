import SQLite
public import WAL

/// Something that happened, according to one segment's facts.
public struct EventRow: Hashable, Sendable {
    public enum Kind: Int64, Sendable, CaseIterable {
        /// A transaction removed relation files on commit.
        case removal = 1
        /// SQL TRUNCATE, logged at wal_level = logical only.
        case heapTruncation = 2
        case databaseDrop = 3
        case tablespaceDrop = 4
        case restorePoint = 5
        case timelineSwitch = 6
        case parameterChange = 7
        case backupEnd = 8
        case databaseCreation = 9
        /// A row of pg_database was changed in place or deleted; used to find the target before a DROP DATABASE.
        case databaseRow = 10
        case tablespaceCreation = 11
        /// Transactions were prepared in the segment, wherever in it.
        case preparation = 12
    }

    /// The segment's timeline; the first segment of a timeline also holds its parent's last records.
    public let timeline: TimelineID
    public let segment: UInt64
    public let lsn: LSN
    public let kind: Kind
    /// Nil when the record has no time.
    public let time: Moment?
    public let xid: UInt32?
    /// Contains only this fact.
    public let facts: SegmentFacts
}

extension EventRow {
    /// The events among the facts of a segment.
    static func rows(of facts: SegmentFacts, timeline: TimelineID, segment: UInt64) -> [EventRow] {
        var rows: [EventRow] = []
        func add(_ kind: Kind, _ lsn: LSN, _ time: Moment?, _ xid: UInt32?, _ fill: (inout SegmentFacts) -> Void) {
            var one = SegmentFacts()
            fill(&one)
            rows.append(
                EventRow(
                    timeline: timeline, segment: segment, lsn: lsn, kind: kind, time: time, xid: xid, facts: one))
        }
        // A rolled-back transaction removes only files that it had created.
        for removal in facts.removals where removal.isCommit {
            let mark = removal.transaction
            add(.removal, mark.lsn, mark.time, mark.xid) { $0.removals = [removal] }
        }
        for cut in facts.heapTruncations { add(.heapTruncation, cut.lsn, nil, cut.xid) { $0.heapTruncations = [cut] } }
        for drop in facts.databaseDrops { add(.databaseDrop, drop.lsn, nil, drop.xid) { $0.databaseDrops = [drop] } }
        for creation in facts.tablespaceCreations {
            add(.tablespaceCreation, creation.lsn, nil, creation.xid) { $0.tablespaceCreations = [creation] }
        }
        for drop in facts.tablespaceDrops {
            add(.tablespaceDrop, drop.lsn, nil, drop.xid) { $0.tablespaceDrops = [drop] }
        }
        for point in facts.restorePoints {
            add(.restorePoint, point.lsn, point.time, nil) { $0.restorePoints = [point] }
        }
        for change in facts.timelineSwitches {
            add(.timelineSwitch, change.lsn, change.time, nil) { $0.timelineSwitches = [change] }
        }
        for change in facts.parameterChanges {
            add(.parameterChange, change.lsn, nil, nil) { $0.parameterChanges = [change] }
        }
        for backup in facts.backupEnds { add(.backupEnd, backup.lsn, nil, nil) { $0.backupEnds = [backup] } }
        for creation in facts.databaseCreations {
            add(.databaseCreation, creation.lsn, nil, creation.xid) { $0.databaseCreations = [creation] }
        }
        if facts.prepares > 0 { add(.preparation, .zero, nil, nil) { $0.prepares = facts.prepares } }
        for row in facts.databaseRows { add(.databaseRow, row.lsn, nil, row.xid) { $0.databaseRows = [row] } }
        return rows
    }

    static let columns = "timeline, number, lsn, kind, time, xid, facts"
    static let insertion = "INSERT OR REPLACE INTO event (\(columns)) VALUES (?, ?, ?, ?, ?, ?, ?)"

    func insert(with statement: Statement) throws(DatabaseError) {
        try statement.run(
            Int64(timeline.rawValue), Int64(bitPattern: segment), Int64(bitPattern: lsn.rawValue), kind.rawValue,
            time?.microseconds, xid.map { Int64($0) }, facts.encode())
    }

    /// Reads a row selected with `columns`.
    init(_ row: Statement, segmentSize: UInt32) throws(DatabaseError) {
        guard let facts = try? SegmentFacts(decoding: row.blob(6)) else {
            throw row.damage("the facts of an event cannot be decoded")
        }
        self.init(
            timeline: try row.timeline(0), segment: try row.number(1, segmentSize),
            lsn: LSN(UInt64(bitPattern: row.integer(2))), kind: try row.oneOf(Kind.self, 3),
            time: row.isNull(4) ? nil : Moment(microseconds: row.integer(4)),
            xid: row.isNull(5) ? nil : UInt32(truncatingIfNeeded: row.integer(5)), facts: facts)
    }
}
