import Platform
import Repository
import SQLite
public import WAL

/// Finds events in a catalog and gives the relations their names.
public struct EventSearch {
    private let catalog: Catalog
    /// The relation maps that may know the relations at a position, the best first.
    private let names: (LSN) throws -> [RelationNames]
    private let histories: [TimelineID: TimelineHistory]

    public init(_ catalog: Catalog, names: @escaping (LSN) throws -> [RelationNames]) throws {
        self.catalog = catalog
        self.names = names
        histories = try catalog.histories()
    }

    /// The events that match `filter`, newest first.
    public func events(_ filter: EventFilter) throws -> [Event] {
        let kinds = EventRow.Kind.allCases.filter { kind in
            switch kind {
            case .removal: filter.wants(.drop) || filter.wants(.truncate) || filter.wants(.rewrite)
            case .databaseDrop: filter.wants(.dropDatabase)
            case .tablespaceDrop: filter.wants(.dropTablespace)
            case .restorePoint: filter.wants(.restorePoint)
            case .timelineSwitch: filter.wants(.timelineSwitch)
            case .parameterChange: filter.wants(.parameter)
            case .backupEnd: filter.wants(.backup)
            case .databaseCreation: filter.wants(.createDatabase)
            case .heapTruncation, .databaseRow, .tablespaceCreation, .preparation: false
            }
        }
        guard !kinds.isEmpty else { return [] }
        let statement = try catalog.database.prepare(
            "SELECT \(EventRow.columns) FROM event WHERE kind IN (\(kinds.map { "\($0.rawValue)" }.joined(separator: ", "))) "
                + "AND (time IS NULL OR (time >= ? AND time <= ?)) ORDER BY lsn DESC, timeline DESC")
        try statement.bind([filter.from?.microseconds ?? Int64.min, filter.to?.microseconds ?? Int64.max])
        var found: [Event] = []
        var seen: Set<[UInt64]> = []
        let size = try catalog.segmentSize() ?? 16 << 20
        while found.count < filter.limit, try statement.step() {
            let row = try EventRow(statement, segmentSize: size)
            // Another server had taken the same number for a timeline of its own, which was abandoned.
            let begin = histories[row.timeline]?.begin(of: row.timeline)
            if let begin, row.segment < begin.rawValue / UInt64(size) { continue }
            // The first segment of a timeline repeats the end of its parent.
            let timeline = histories[row.timeline]?.timeline(at: row.lsn) ?? row.timeline
            let identity = [UInt64(timeline.rawValue), row.lsn.rawValue, UInt64(row.kind.rawValue)]
            guard seen.insert(identity).inserted else { continue }
            for event in try tell(row, timeline) where filter.wants(event) { found.append(event) }
        }
        statement.reset()
        return newestFirst(found)
    }

    /// Drops and truncations that `events` omits because a table was named and the names of their relations aren't
    /// known; newest first.
    public func nameless(_ filter: EventFilter) throws -> [Event] {
        guard filter.table != nil else { return [] }
        var all = filter
        all.table = nil
        all.limit = .max
        all.kinds = Set([.drop, .truncate].filter { filter.wants($0) })
        return try events(all).filter { $0.objects.isEmpty && !$0.unnamed.isEmpty }
    }

    private func newestFirst(_ events: [Event]) -> [Event] {
        events.sorted {
            ($0.time ?? .init(microseconds: .min), $0.lsn) > ($1.time ?? .init(microseconds: .min), $1.lsn)
        }
    }

    /// The events that match `filter`, and among them the gaps in the range they cover, of whatever kind is wanted: the
    /// event looked for may have happened there.
    public func events(_ filter: EventFilter, among gaps: [WALGap]) throws -> [Event] {
        let events = try events(filter)
        // If the limit was reached, the range ends at the last event.
        let oldest = events.count == filter.limit ? events.last : nil
        let shown = gaps.filter { gap in
            if gap.isExpired { return false }
            if let from = filter.from, let after = gap.firstAfter, after.time < from { return false }
            if let to = filter.to, let before = gap.lastBefore, before.time > to { return false }
            return oldest.map { $0.lsn < gap.to } ?? true
        }
        return newestFirst(
            events
                + shown.map { gap in
                    Event(
                        kind: .gap, timeline: gap.timeline, lsn: gap.from, time: gap.lastBefore?.time, objects: [],
                        unnamed: [], detail: gap.sentence)
                })
    }

    private func tell(_ row: EventRow, _ timeline: TimelineID) throws -> [Event] {
        func event(
            _ kind: Event.Kind, time: Moment? = row.time, objects: [String] = [], detail: String? = nil,
            target: Event.Target? = nil
        ) -> Event {
            Event(
                kind: kind, timeline: timeline, lsn: row.lsn, time: time, xid: row.xid, objects: objects, unnamed: [],
                detail: detail, target: target)
        }
        let facts = row.facts
        if let removal = facts.removals.first { return [try tell(removal, timeline)] }
        if let drop = facts.databaseDrops.first {
            let mark = try markOfDrop(row, drop)
            return [
                event(
                    .dropDatabase, time: try timeOfCommit(row), objects: [try databaseName(drop.database, row.lsn)],
                    detail: mark == nil
                        ? "The record in which the server marked the database as being dropped was not found." : nil,
                    target: .before(mark ?? row.lsn))
            ]
        }
        if let drop = facts.tablespaceDrops.first {
            return [
                event(
                    .dropTablespace, time: try timeOfCommit(row), objects: ["tablespace \(drop.tablespace)"],
                    target: .before(row.lsn))
            ]
        }
        if let point = facts.restorePoints.first {
            return [event(.restorePoint, detail: point.name, target: .restorePoint(point.name))]
        }
        if let change = facts.timelineSwitches.first {
            let how = change.isPromotion ? "promotion" : "end of recovery"
            return [
                event(
                    .timelineSwitch, detail: "timeline \(change.timeline) leaves timeline \(change.previous): \(how)")
            ]
        }
        if let change = facts.parameterChanges.first {
            let level = change.walLevel < 3 ? ["minimal", "replica", "logical"][Int(change.walLevel)] : "unknown"
            return [
                event(
                    .parameter, time: try about(row),
                    detail: "wal_level \(level), max_connections \(change.maxConnections), max_worker_processes "
                        + "\(change.maxWorkerProcesses), max_wal_senders \(change.maxWALSenders)")
            ]
        }
        if let backup = facts.backupEnds.first {
            return [event(.backup, time: try about(row), detail: "started at \(backup.start)")]
        }
        if let creation = facts.databaseCreations.first {
            return [
                event(
                    .createDatabase, time: try timeOfCommit(row),
                    objects: [try databaseName(creation.database, row.lsn)])
            ]
        }
        return []
    }

    // MARK: Removed files

    private func tell(_ removal: FileRemoval, _ timeline: TimelineID) throws -> Event {
        let mark = removal.transaction
        let maps = try names(mark.lsn)
        // A relation that the transaction itself created, as a rewrite does, isn't lost.
        let dropped = removal.droppedRelations.filter { !removal.createdFiles.contains($0.oid) }
        let truncated = try truncatedRelations(mark)
        var kind: Event.Kind
        var objects: [RelationNames.Relation] = []
        var texts: [String] = []
        func collect(_ relation: RelationNames.Relation?, _ map: RelationNames?) {
            guard let relation, let map, !objects.contains(relation) else { return }
            objects.append(relation)
            texts.append(map.fullName(relation))
        }
        func look(_ find: (RelationNames) -> RelationNames.Relation?) {
            for map in maps {
                if let relation = find(map) { return collect(relation, map) }
            }
        }
        if !dropped.isEmpty {
            kind = .drop
            for relation in dropped { look { $0.relation(oid: relation.oid, database: relation.database) } }
        } else if !truncated.isEmpty {
            kind = .truncate
            for oid in truncated { look { $0.relation(oid: oid, database: removal.database(of: oid)) } }
        } else if removal.createdFiles.isEmpty {
            kind = .drop
            for file in removal.files { look { $0.relation(file) } }
            if objects.isEmpty {
                for lock in removal.locks { look { $0.relation(oid: lock.relation, database: lock.database) } }
            }
        } else {
            kind = removal.droppedRelations.isEmpty ? .truncate : .rewrite
            for lock in removal.locks { look { $0.relation(oid: lock.relation, database: lock.database) } }
            // REINDEX looks like TRUNCATE, but locks an index only.
            if kind == .truncate, !objects.isEmpty, !objects.contains(where: \.isTable) { kind = .rewrite }
        }
        if !objects.isEmpty, objects.allSatisfy(\.isSystem) { kind = .rewrite }
        if kind == .drop, !objects.isEmpty, objects.allSatisfy({ $0.kind == "i" }) { kind = .rewrite }
        // A table stands for its indexes and TOAST table.
        let tables = zip(objects, texts).filter { $0.0.isTable }.map(\.1)
        let known = tables.isEmpty ? texts : tables
        return Event(
            kind: kind, timeline: timeline, lsn: mark.lsn, time: mark.time, xid: mark.xid, objects: known.sorted(),
            unnamed: known.isEmpty ? removal.files : [],
            detail: known.isEmpty ? unnamed(removal, dropped.map(\.oid)) : nil,
            target: kind == .rewrite ? nil : .before(mark.lsn))
    }

    private func unnamed(_ removal: FileRemoval, _ dropped: [UInt32]) -> String {
        let oids = dropped.isEmpty ? removal.locks.map(\.relation) : dropped
        let listed = Set(oids).sorted().prefix(8).map(String.init).joined(separator: ", ")
        return (oids.isEmpty ? "Files" : "Relations with OID \(listed)")
            + " that are in no backup's relation map: created after the last backup before it."
    }

    /// The relations that a TRUNCATE of the transaction names; known only at wal_level = logical.
    private func truncatedRelations(_ mark: TransactionMark) throws -> [UInt32] {
        try catalog.events(
            "kind = \(EventRow.Kind.heapTruncation.rawValue) AND xid = ? AND lsn < ? ORDER BY lsn DESC LIMIT 50",
            [Int64(mark.xid), Int64(bitPattern: mark.lsn.rawValue)]
        ).flatMap(\.facts.heapTruncations).flatMap(\.relations)
    }

    // MARK: Databases

    private func databaseName(_ oid: UInt32, _ lsn: LSN) throws -> String {
        for map in try names(lsn) {
            if let name = map.database(oid) { return plainIdentifier(name) }
        }
        return "database with OID \(oid)"
    }

    /// Where the server marked a database as being dropped, before it removed it: recovery must stop before that to
    /// bring back the database (since 13.12, 14.9 and 15.4; older servers made no mark).
    private func markOfDrop(_ row: EventRow, _ drop: DatabaseDrop) throws -> LSN? {
        let rows = try catalog.events(
            "kind = \(EventRow.Kind.databaseRow.rawValue) AND lsn < ? ORDER BY lsn DESC LIMIT 2000",
            [Int64(bitPattern: drop.lsn.rawValue)])
        let changes = rows.flatMap(\.facts.databaseRows)
        guard let deleted = changes.first(where: { $0.isDelete && $0.xid == drop.xid }) else { return nil }
        return changes.first {
            !$0.isDelete && $0.xid == 0 && $0.lsn < deleted.lsn && $0.block == deleted.block && $0.row == deleted.row
        }?.lsn
    }

    // MARK: Times

    /// When the event's transaction committed, read from the segment or the one after it; else an approximate time.
    private func timeOfCommit(_ row: EventRow) throws -> Moment? {
        let size = try catalog.segmentSize() ?? 16 << 20
        var time: Moment?
        var walk = RecordWalk()
        var decompressor = try Decompressor()
        for number in row.segment...row.segment + 1 where time == nil {
            let name = SegmentName(timeline: row.timeline, number: number, segmentSize: size)
            guard let stored = try? catalog.archive.stored(name) else { break }
            walk.begin(name, length: stored.head.rawLength, contents: stored.contents)
            try? stored.extract(with: &decompressor) { bytes in
                try walk.feed(RawSpan(_unsafeBytes: bytes)) { record in
                    guard case .commit(let end) = record.kind, end.xid == row.xid else { return .more }
                    time = end.time
                    return .stop
                }
            }
        }
        return try time ?? about(row)
    }

    /// The last time in the WAL before the event's segment ended.
    private func about(_ row: EventRow) throws -> Moment? {
        let size = try catalog.segmentSize() ?? 16 << 20
        let name = SegmentName(timeline: row.timeline, number: row.segment, segmentSize: size)
        if let own = try catalog.segment(name)?.latestStop { return own }
        guard row.segment > 0 else { return nil }
        return try catalog.nearestWithCommits(of: row.timeline, 0...row.segment - 1, fromEnd: true)?.latestStop
    }
}

extension FileRemoval {
    /// The database of a relation the transaction had locked; else the one it ran in.
    fileprivate func database(of oid: UInt32) -> UInt32 {
        locks.first { $0.relation == oid }?.database ?? files.first?.database ?? database
    }
}
