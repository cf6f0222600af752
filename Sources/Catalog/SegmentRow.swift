import SQLite
public import WAL

/// The catalog's row of one segment. A record that crosses its left boundary is counted with it.
public struct SegmentRow: Hashable, Sendable {
    /// Whether the segment could be read.
    public enum State: Int64, Sendable {
        case read = 0
        /// Stored without a summary: of a PostgreSQL version that tidemark didn't know.
        case unread = 1
        /// The object's head is damaged.
        case damaged = 2
        /// The object could not be opened or read.
        case unavailable = 3

        /// Whether the state stays with the object. Damage may be repaired, and permission be granted, in place.
        var isSettled: Bool { self == .read || self == .unread }
    }
    /// The segment's link to the one before it.
    public enum Link: Int64, Sendable {
        /// The previous segment is missing, or the one in which the record began that crosses the left boundary.
        case open = 0
        case joined = 1
        case broken = 2
        /// The previous segment exists, but can't be read.
        case unknowable = 3
    }

    public var name: SegmentName
    /// Bytes in the repository.
    public var storedBytes: Int64
    public var state: State
    public var link: Link
    /// What is wrong with it or with its link.
    public var problem: String?
    public var firstRecord: LSN?
    public var lastRecord: LSN?
    public var end: LSN?
    public var records: Int64 = 0
    public var commits: Int64 = 0
    public var aborts: Int64 = 0
    public var firstCommit: TransactionMark?
    public var lastCommit: TransactionMark?
    public var earliestCommit: Moment?
    public var latestCommit: Moment?
    /// Of commits and aborts.
    public var earliestStop: Moment?
    public var latestStop: Moment?
    public var lowestXID: UInt32?
    public var highestXID: UInt32?

    init(name: SegmentName, storedBytes: Int64, state: State, link: Link, problem: String?) {
        (self.name, self.storedBytes, self.state, self.link, self.problem) = (name, storedBytes, state, link, problem)
    }

    mutating func add(_ summary: SegmentSummary) {
        firstRecord = summary.firstRecord
        lastRecord = summary.lastRecord
        end = summary.end
        add(summary.facts)
    }

    /// Adds the record that crosses the left boundary.
    mutating func prepend(_ boundary: BoundaryRecord, _ facts: SegmentFacts?) {
        firstRecord = boundary.header.lsn
        lastRecord = lastRecord ?? boundary.header.lsn
        guard let facts else {
            records += 1
            return
        }
        let own = self
        (records, commits, aborts) = (0, 0, 0)
        (firstCommit, lastCommit, earliestCommit, latestCommit) = (nil, nil, nil, nil)
        (earliestStop, latestStop, lowestXID, highestXID) = (nil, nil, nil, nil)
        add(facts)
        records += own.records
        commits += own.commits
        aborts += own.aborts
        firstCommit = firstCommit ?? own.firstCommit
        lastCommit = own.lastCommit ?? lastCommit
        earliestCommit = [earliestCommit, own.earliestCommit].compactMap { $0 }.min()
        latestCommit = [latestCommit, own.latestCommit].compactMap { $0 }.max()
        earliestStop = [earliestStop, own.earliestStop].compactMap { $0 }.min()
        latestStop = [latestStop, own.latestStop].compactMap { $0 }.max()
        lowestXID = [lowestXID, own.lowestXID].compactMap { $0 }.min()
        highestXID = [highestXID, own.highestXID].compactMap { $0 }.max()
    }

    private mutating func add(_ facts: SegmentFacts) {
        records = Int64(clamping: facts.records)
        commits = Int64(clamping: facts.commits)
        aborts = Int64(clamping: facts.aborts)
        (firstCommit, lastCommit) = (facts.firstCommit, facts.lastCommit)
        (earliestCommit, latestCommit) = (facts.earliestCommit?.time, facts.latestCommit?.time)
        (earliestStop, latestStop) = (facts.earliestStop, facts.latestStop)
        (lowestXID, highestXID) = (facts.lowestXID, facts.highestXID)
    }
}

extension SegmentRow {
    static let columns = """
        timeline, number, stored_bytes, state, link, problem, first_record, last_record, end, records, commits, aborts,
        first_lsn, first_end, first_time, first_xid, last_lsn, last_end, last_time, last_xid,
        earliest_commit, latest_commit, earliest_stop, latest_stop, lowest_xid, highest_xid
        """

    static let insertion =
        "INSERT OR REPLACE INTO segment (\(columns)) VALUES ("
        + Array(repeating: "?", count: 26).joined(separator: ", ")
        + ")"

    func insert(with statement: Statement, segmentSize: UInt32) throws(DatabaseError) {
        var position: Int32 = 0
        func put(_ value: Int64?) throws(DatabaseError) {
            position += 1
            if let value { try statement.bind(position, value) } else { try statement.bindNull(position) }
        }
        func put(_ mark: TransactionMark?) throws(DatabaseError) {
            try put(mark.map { Int64(bitPattern: $0.lsn.rawValue) })
            try put(mark.map { Int64(bitPattern: $0.end.rawValue) })
            try put(mark?.time.microseconds)
            try put(mark.map { Int64($0.xid) })
        }
        try put(Int64(name.timeline.rawValue))
        try put(Int64(name.number(segmentSize: segmentSize)))
        try put(storedBytes)
        try put(state.rawValue)
        try put(link.rawValue)
        position += 1
        if let problem { try statement.bind(position, problem) } else { try statement.bindNull(position) }
        for lsn in [firstRecord, lastRecord, end] { try put(lsn.map { Int64(bitPattern: $0.rawValue) }) }
        for count in [records, commits, aborts] { try put(count) }
        try put(firstCommit)
        try put(lastCommit)
        for time in [earliestCommit, latestCommit, earliestStop, latestStop] { try put(time?.microseconds) }
        for xid in [lowestXID, highestXID] { try put(xid.map { Int64($0) }) }
        while try statement.step() {}
    }

    /// Reads a row selected with `columns`.
    init(_ row: Statement, segmentSize: UInt32) throws(DatabaseError) {
        func integer(_ column: Int32) -> Int64? { row.isNull(column) ? nil : row.integer(column) }
        func position(_ column: Int32) -> LSN? { integer(column).map { LSN(UInt64(bitPattern: $0)) } }
        func moment(_ column: Int32) -> Moment? { integer(column).map { Moment(microseconds: $0) } }
        func mark(_ column: Int32) -> TransactionMark? {
            guard let lsn = position(column), let end = position(column + 1), let time = moment(column + 2) else {
                return nil
            }
            return TransactionMark(
                lsn: lsn, end: end, time: time, xid: UInt32(truncatingIfNeeded: row.integer(column + 3)))
        }
        self.init(
            name: try row.segment(0, 1, segmentSize), storedBytes: try row.count(2),
            state: try row.oneOf(State.self, 3), link: try row.oneOf(Link.self, 4),
            problem: row.isNull(5) ? nil : row.text(5))
        (firstRecord, lastRecord, end) = (position(6), position(7), position(8))
        (records, commits, aborts) = (try row.count(9), try row.count(10), try row.count(11))
        (firstCommit, lastCommit) = (mark(12), mark(16))
        (earliestCommit, latestCommit) = (moment(20), moment(21))
        (earliestStop, latestStop) = (moment(22), moment(23))
        lowestXID = integer(24).map { UInt32(truncatingIfNeeded: $0) }
        highestXID = integer(25).map { UInt32(truncatingIfNeeded: $0) }
    }
}
