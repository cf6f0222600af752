import Repository
import SQLite
public import WAL

/// Queries about segments. All of them are cheap, however many segments there are.
extension Catalog {
    /// One segment; nil when the catalog doesn't have it.
    public func segment(_ name: SegmentName) throws -> SegmentRow? {
        guard let size = try segmentSize() else { return nil }
        let number = name.number(segmentSize: size)
        return try rows(of: name.timeline, number...number, size: size).first
    }

    /// Consecutive segments of one timeline, in order.
    public func segments(of timeline: TimelineID, _ numbers: ClosedRange<UInt64>) throws -> [SegmentRow] {
        guard let size = try segmentSize() else { return [] }
        return try rows(of: timeline, numbers, size: size)
    }

    private func rows(
        of timeline: TimelineID, _ numbers: ClosedRange<UInt64>, _ condition: String = "", limit: Int? = nil,
        by index: String = "", size: UInt32
    ) throws -> [SegmentRow] {
        let statement = try database.prepare(
            "SELECT \(SegmentRow.columns) FROM segment \(index) WHERE timeline = ? AND number BETWEEN ? AND ? \(condition)"
                + (limit.map { " LIMIT \($0)" } ?? ""))
        try statement.bind([Int64(timeline.rawValue), number(numbers.lowerBound), number(numbers.upperBound)])
        var rows: [SegmentRow] = []
        while try statement.step() { rows.append(try SegmentRow(statement, segmentSize: size)) }
        return rows
    }

    private func number(_ value: UInt64) -> Int64 { Int64(clamping: value) }

    /// Segments that are damaged, unread, not linked to the one before, or at the start of a run.
    public func notable(of timeline: TimelineID, _ numbers: ClosedRange<UInt64>) throws -> [SegmentRow] {
        guard let size = try segmentSize() else { return [] }
        var rows = try rows(
            of: timeline, numbers, "AND (link <> 1 OR state <> 0) ORDER BY timeline, number",
            // Without the hint SQLite would scan all of them by the primary key.
            by: "INDEXED BY segment_notable", size: size)
        for found in undelivered
        where found.segment.timeline == timeline && numbers.contains(found.segment.number(segmentSize: size)) {
            guard var row = try segment(found.segment), row.state == .read else { continue }
            (row.state, row.problem) = (.damaged, found.reason)
            rows.removeAll { $0.name == row.name }
            rows.insert(row, at: rows.firstIndex { $0.name > row.name } ?? rows.endIndex)
        }
        return rows
    }

    /// Timelines whose history file is damaged, or missing although they have a parent.
    public func lostHistories() throws -> [LostHistory] {
        try archive.lostHistories(among: try segments(), known: Set(try histories().keys))
    }

    /// Every segment that can't be read, or doesn't continue the one before it.
    public func breaks() throws -> [WALBreak] {
        let set = try segments()
        return try set.timelines.flatMap { timeline in
            try set.runs(of: timeline).flatMap { try breaks(of: timeline, $0) }
        }
    }

    public func breaks(of timeline: TimelineID, _ numbers: ClosedRange<UInt64>) throws -> [WALBreak] {
        try notable(of: timeline, numbers).filter { $0.state != .read || $0.link == .broken }.map {
            WALBreak($0.name, isLink: $0.state == .read, reason: $0.problem ?? "It cannot be read.")
        }
    }

    /// The first segment of a range in which a transaction ends later than `moment` (or at it).
    public func firstEnding(
        after moment: Moment, orAt: Bool, of timeline: TimelineID, _ numbers: ClosedRange<UInt64>
    ) throws -> SegmentName? {
        let compare = orAt ? ">=" : ">"
        return try first(
            of: timeline, numbers, "latest_stop \(compare) ?", [moment.microseconds])
    }

    /// The first segment of a range in which a transaction ends earlier than `moment` (or at it).
    public func firstEnding(
        before moment: Moment, orAt: Bool, of timeline: TimelineID, _ numbers: ClosedRange<UInt64>
    ) throws -> SegmentName? {
        let compare = orAt ? "<=" : "<"
        return try first(of: timeline, numbers, "earliest_stop \(compare) ?", [moment.microseconds])
    }

    /// The first segment of a range in which the transaction may have ended.
    public func firstEnding(
        xid: UInt32, of timeline: TimelineID, _ numbers: ClosedRange<UInt64>
    ) throws -> SegmentName? {
        try first(of: timeline, numbers, "lowest_xid <= ? AND highest_xid >= ?", [Int64(xid), Int64(xid)])
    }

    /// The first segment whose row satisfies `condition`, found through the chunks, whose aggregates satisfy it as
    /// well.
    private func first(
        of timeline: TimelineID, _ numbers: ClosedRange<UInt64>, _ condition: String, _ values: [Int64]
    ) throws -> SegmentName? {
        guard let size = try segmentSize() else { return nil }
        let chunks = try database.prepare(
            "SELECT chunk FROM chunk WHERE timeline = ? AND chunk BETWEEN ? AND ? AND \(condition) ORDER BY chunk")
        let (low, high) = (number(numbers.lowerBound), number(numbers.upperBound))
        try chunks.bind(
            [Int64(timeline.rawValue), low >> Catalog.chunkBits, high >> Catalog.chunkBits] + values)
        let segments = try database.prepare(
            "SELECT number FROM segment WHERE timeline = ? AND number BETWEEN ? AND ? AND \(condition) "
                + "ORDER BY number LIMIT 1")
        while try chunks.step() {
            let chunk = chunks.integer(0)
            try segments.bind(
                [
                    Int64(timeline.rawValue), max(low, chunk << Catalog.chunkBits),
                    min(high, (chunk + 1) << Catalog.chunkBits - 1),
                ] + values)
            defer { segments.reset() }
            if try segments.step() {
                return SegmentName(
                    timeline: timeline, number: UInt64(bitPattern: segments.integer(0)), segmentSize: size)
            }
        }
        return nil
    }

    /// The nearest segment of a range with commits, from its end backwards or from its start forwards.
    public func nearestWithCommits(
        of timeline: TimelineID, _ numbers: ClosedRange<UInt64>, fromEnd: Bool
    ) throws -> SegmentRow? {
        guard let size = try segmentSize() else { return nil }
        let order = fromEnd ? "DESC" : "ASC"
        let chunks = try database.prepare(
            "SELECT chunk FROM chunk WHERE timeline = ? AND chunk BETWEEN ? AND ? AND commits > 0 ORDER BY chunk \(order)"
        )
        let (low, high) = (number(numbers.lowerBound), number(numbers.upperBound))
        try chunks.bind([Int64(timeline.rawValue), low >> Catalog.chunkBits, high >> Catalog.chunkBits])
        while try chunks.step() {
            let chunk = chunks.integer(0)
            let (from, to) = (
                max(low, chunk << Catalog.chunkBits), min(high, (chunk + 1) << Catalog.chunkBits - 1)
            )
            let found = try rows(
                of: timeline, UInt64(from)...UInt64(to), "AND commits > 0 ORDER BY number \(order)", limit: 1,
                size: size)
            if let row = found.first { return row }
        }
        return nil
    }

    /// Sums over a range.
    public struct Totals: Hashable, Sendable {
        public var segments: Int64 = 0
        /// Bytes in the repository.
        public var storedBytes: Int64 = 0
        public var records: Int64 = 0
        public var commits: Int64 = 0
    }

    public func totals(of timeline: TimelineID, _ numbers: ClosedRange<UInt64>) throws -> Totals {
        var totals = Totals()
        let (low, high) = (number(numbers.lowerBound), number(numbers.upperBound))
        // Whole chunks by their sums, the ends by their segments.
        let firstWhole = (low + (1 << Catalog.chunkBits) - 1) >> Catalog.chunkBits
        let afterWhole = (high + 1) >> Catalog.chunkBits
        func sum(_ value: Int64, _ statement: Statement, _ column: Int32) throws -> Int64 {
            let (sum, overflows) = value.addingReportingOverflow(try statement.count(column))
            return overflows ? .max : sum
        }
        func add(_ sql: String, _ from: Int64, _ to: Int64) throws {
            guard from <= to else { return }
            let statement = try database.prepare(sql)
            try statement.bind([Int64(timeline.rawValue), from, to])
            guard try statement.step() else { return }
            totals.segments = try sum(totals.segments, statement, 0)
            totals.storedBytes = try sum(totals.storedBytes, statement, 1)
            totals.records = try sum(totals.records, statement, 2)
            totals.commits = try sum(totals.commits, statement, 3)
        }
        let ofSegments =
            "SELECT count(*), sum(stored_bytes), sum(records), sum(commits) FROM segment "
            + "WHERE timeline = ? AND number BETWEEN ? AND ?"
        guard firstWhole < afterWhole else {
            try add(ofSegments, low, high)
            return totals
        }
        try add(ofSegments, low, firstWhole << Catalog.chunkBits - 1)
        try add(
            "SELECT sum(segments), sum(stored_bytes), sum(records), sum(commits) FROM chunk "
                + "WHERE timeline = ? AND chunk BETWEEN ? AND ?", firstWhole, afterWhole - 1)
        try add(ofSegments, afterWhole << Catalog.chunkBits, high)
        return totals
    }

    /// Restore points whose records lie in a range, in order.
    public func restorePoints(of timeline: TimelineID, _ numbers: ClosedRange<UInt64>) throws -> [RestorePoint] {
        try events(
            "kind = \(EventRow.Kind.restorePoint.rawValue) AND timeline = ? AND number BETWEEN ? AND ? ORDER BY lsn",
            [Int64(timeline.rawValue), number(numbers.lowerBound), number(numbers.upperBound)]
        ).flatMap(\.facts.restorePoints)
    }

    /// Tablespaces created, and settings changed, in a range.
    public func serverChanges(
        of timeline: TimelineID, _ numbers: ClosedRange<UInt64>
    ) throws -> (tablespaces: [SegmentFacts.TablespaceCreation], parameters: [ParameterChange]) {
        let facts = try events(
            "kind IN (\(EventRow.Kind.tablespaceCreation.rawValue), \(EventRow.Kind.parameterChange.rawValue)) "
                + "AND timeline = ? AND number BETWEEN ? AND ? ORDER BY lsn",
            [Int64(timeline.rawValue), number(numbers.lowerBound), number(numbers.upperBound)]
        ).map(\.facts)
        return (facts.flatMap(\.tablespaceCreations), facts.flatMap(\.parameterChanges))
    }

    /// The segments in which transactions were prepared.
    public func segmentsWithPreparations(
        of timeline: TimelineID, _ numbers: ClosedRange<UInt64>
    ) throws -> [SegmentName] {
        guard let size = try segmentSize() else { return [] }
        return try events(
            "kind = \(EventRow.Kind.preparation.rawValue) AND timeline = ? AND number BETWEEN ? AND ? ORDER BY number",
            [Int64(timeline.rawValue), number(numbers.lowerBound), number(numbers.upperBound)]
        ).map { SegmentName(timeline: timeline, number: $0.segment, segmentSize: size) }
    }

    public func restorePoints(of name: SegmentName) throws -> [RestorePoint] {
        guard let size = try segmentSize() else { return [] }
        let number = name.number(segmentSize: size)
        return try restorePoints(of: name.timeline, number...number)
    }

    /// The first segment of a range with a restore point of this name.
    public func firstRestorePoint(
        named name: String, of timeline: TimelineID, _ numbers: ClosedRange<UInt64>
    ) throws -> SegmentName? {
        guard let size = try segmentSize() else { return nil }
        return try events(
            "kind = \(EventRow.Kind.restorePoint.rawValue) AND timeline = ? AND number BETWEEN ? AND ? ORDER BY lsn",
            [Int64(timeline.rawValue), number(numbers.lowerBound), number(numbers.upperBound)]
        ).first { $0.facts.restorePoints.contains { $0.name == name } }
            .map { SegmentName(timeline: timeline, number: $0.segment, segmentSize: size) }
    }

    func events(_ condition: String, _ values: [Int64]) throws -> [EventRow] {
        let statement = try database.prepare("SELECT \(EventRow.columns) FROM event WHERE \(condition)")
        try statement.bind(values.map { $0 })
        let size = try segmentSize() ?? 16 << 20
        var rows: [EventRow] = []
        while try statement.step() { rows.append(try EventRow(statement, segmentSize: size)) }
        return rows
    }
}
