import Backups
public import Planning
public import Platform
public import Recovery
import Repository
public import WAL

/// The position just before tables were dropped.
public struct DropMoment: Sendable {
    /// Stops before the commit of the transaction that dropped the first of them.
    public let target: RecoveryTarget
    /// When each was dropped, according to the archive.
    public let drops: [(table: TableName, transaction: TransactionMark)]
    /// Later transactions that dropped relations whose names neither a backup nor the WAL shows: one of them may have
    /// had the table's name. In the order of the WAL.
    public let untold: [TransactionMark]
    /// The target just before the last of those, if it can be reached.
    public let later: PlanRefusal.Alternative?
    /// WAL that couldn't be looked through.
    public let unread: [UnreadWAL]
}

/// Finds when tables were dropped: the last drop of each name. Since PostgreSQL 15 a commit has the OIDs of the
/// relations that it drops; before, files that are removed by a commit without new ones show a drop. Their names are in
/// the backups' relation maps, and those of relations younger than every backup in the WAL.
///
/// - Parameters:
///   - timeline: the timeline whose history is searched.
///   - backup: the backup from which a recovery is to start, if it was named.
/// - Throws: `NoDropFound`, `PlanRefusal` when the timeline is ambiguous, and what reading the archive throws.
public func momentBeforeDrop(
    of tables: [TablePattern], in archive: RecoveryArchive, timeline: RecoveryTarget.Timeline = .own,
    backup label: String? = nil
) throws -> DropMoment {
    var search = DropSearch(tables, archive)
    var obstacles: [String] = []
    func later(_ untold: [TransactionMark]) -> PlanRefusal.Alternative? {
        guard let last = untold.last else { return nil }
        let target = RecoveryTarget(.lsn(last.lsn), inclusive: false, timeline: timeline)
        return archive.offer(PlanRequest(target, backup: label)) { _ in
            "just before transaction \(last.xid) of \(last.time)"
        }
    }
    for backup in archive.backups.complete.reversed() {
        guard let wal = try archive.reachableWAL(from: backup.label, timeline: timeline) else { continue }
        if let obstacle = wal.obstacle, !obstacles.contains(obstacle) { obstacles.append(obstacle) }
        try search.add(backup, wal)
        guard let (target, found) = search.found() else { continue }
        let untold = search.untold(after: target)
        return DropMoment(
            target: RecoveryTarget(.lsn(target), inclusive: false), drops: found, untold: untold, later: later(untold),
            unread: search.unread)
    }
    let untold = search.untold(after: .zero)
    throw NoDropFound(
        pattern: tables[0], newest: search.isDatabaseKnown ? nil : search.newest, isYoung: search.isDatabaseYoung,
        untold: untold, later: later(untold), obstacles: obstacles, unread: search.unread)
}

/// The last drop of these tables before the oldest backup, as far as the WAL from before it is archived and tells their
/// names; nil when there is none.
/// - Throws: as `momentBeforeDrop`.
public func dropBeforeBackups(
    of tables: [TablePattern], in archive: RecoveryArchive, timeline: RecoveryTarget.Timeline
) throws -> DroppedTooEarly? {
    guard let (backup, segments) = try archive.beforeBackups(timeline) else { return nil }
    // What can't be read there was not promised.
    var (facts, unread) = try archive.readableFacts(of: segments)
    let drops = RelationDrop.all(in: facts, major: archive.contents.incarnation.major)
        .filter { $0.transaction.lsn < backup.startLSN }
    guard let last = drops.last else { return nil }
    let map = try RelationMap(of: backup.label, of: archive.contents) {
        LoggedNames.catalogs.contains($0.oid) || $0.oid == RelationMap.databaseCatalog
    }
    guard let database = map.databases.first(where: { $0.name == tables[0].database })?.oid,
        let names = try LoggedNames(
            segments, upTo: last.transaction.lsn, from: .zero, database: database, map, backup, archive,
            unread: &unread)
    else { return nil }
    for drop in drops.reversed() where drop.database == database {
        guard let relation = names.relation(drop, [:]), let schema = relation.schema,
            tables.contains(where: {
                FileSelection.mayBeMeant(relation.kind, by: $0) && $0.matches(schema: schema, table: relation.name)
            })
        else { continue }
        return DroppedTooEarly(
            subject: "table \(TableName(schema: schema, name: relation.name).quoted)", xid: drop.transaction.xid,
            lsn: drop.transaction.lsn, time: drop.transaction.time, backup: RestorableBackup(backup))
    }
    return nil
}

/// Searches backwards from backup to backup.
private struct DropSearch {
    let tables: [TablePattern]
    let archive: RecoveryArchive
    /// The drops after the oldest backup so far, in the order of the WAL.
    private var drops: [RelationDrop] = []
    /// Relations in the backups' relation maps; the newest backup counts.
    private var known: [UInt32: DroppedRelation] = [:]
    /// The WAL from here on has been searched.
    private var seen: LSN?
    /// But for these.
    private(set) var unread: [UnreadWAL] = []
    /// The first backup that was asked.
    private(set) var newest: String?
    /// Whether any backup has the tables' database.
    private(set) var isDatabaseKnown = false
    /// The databases in the backups.
    private var databases: Set<UInt32> = []
    /// The drops in all databases, until a backup with the tables' database is found.
    private var elsewhere: [RelationDrop] = []
    /// The databases without a backup that had the name of the tables' database, according to the WAL.
    private var young: Set<UInt32> = []
    var isDatabaseYoung: Bool { !young.isEmpty }

    init(_ tables: [TablePattern], _ archive: RecoveryArchive) { (self.tables, self.archive) = (tables, archive) }

    /// Adds the drops between a backup and the next one.
    mutating func add(_ backup: BackupDescription, _ wal: ReachableWAL) throws {
        let segments = try archive.segments(from: wal, through: seen, segmentSize: backup.segmentSize)
        let isNew = { [seen] (lsn: LSN) in wal.holds(lsn) && seen.map { lsn < $0 } ?? true }
        let (facts, lost) = try archive.readableFacts(of: segments.names)
        let found = RelationDrop.all(in: facts, major: archive.contents.incarnation.major)
            .filter { isNew($0.transaction.lsn) }
        unread = (segments.holes + lost).filter { !unread.contains($0) } + unread
        let oids = Set(found.map(\.oid) + drops.filter { $0.relation == nil }.map(\.oid))
        let map = try RelationMap(of: backup.label, of: archive.contents) { relation in
            oids.contains(relation.oid) || LoggedNames.catalogs.contains(relation.oid)
                || relation.oid == RelationMap.databaseCatalog
        }
        newest = newest ?? backup.label
        databases.formUnion(map.databases.map(\.oid))
        guard let database = map.databases.first(where: { $0.name == tables[0].database })?.oid else {
            elsewhere += found
            let told = try archive.databaseNames(
                in: segments.names, map, from: backup.startLSN, unread: &unread)
            young.formUnion(told.databases(named: tables[0].database))
            return
        }
        (isDatabaseKnown, elsewhere) = (true, [])
        seen = backup.startLSN
        for row in map.relations where row.database == database && known[row.oid] == nil {
            known[row.oid] = DroppedRelation(schema: row.schema, name: row.name, kind: row.kind, file: row.fileNode)
        }
        var new = found.filter { $0.database == database }
        for index in new.indices { new[index].name(known) }
        for index in drops.indices where drops[index].relation == nil { drops[index].name(known) }
        // If the only drop is the one looked for, the names of the others don't matter.
        let newest = new.last { isMeant($0) }
        if let last = new.last, newest.map({ $0.transaction.lsn < last.transaction.lsn }) ?? true {
            let names = try LoggedNames(
                segments.names, upTo: last.transaction.lsn, from: backup.startLSN, database: database, map, backup,
                archive, unread: &unread)
            for index in new.indices { new[index].relation = names?.relation(new[index], known) ?? new[index].relation }
        }
        drops = new + drops
    }

    private func isMeant(_ drop: RelationDrop) -> Bool {
        guard let relation = drop.relation, let schema = relation.schema else { return false }
        return tables.contains {
            FileSelection.mayBeMeant(relation.kind, by: $0) && $0.matches(schema: schema, table: relation.name)
        }
    }

    /// Whether the drop may be of one of the tables.
    private func mayBeMeant(_ drop: RelationDrop) -> Bool {
        guard let relation = drop.relation else { return true }
        return relation.schema == nil
            && tables.contains {
                FileSelection.mayBeMeant(relation.kind, by: $0) && $0.matches(table: relation.name)
            }
    }

    func untold(after position: LSN) -> [TransactionMark] {
        var marks: [TransactionMark] = []
        if !isDatabaseKnown {
            // Each backup's WAL includes that of the later ones.
            for drop in elsewhere.sorted(by: { $0.transaction.lsn < $1.transaction.lsn })
            where !databases.contains(drop.database) && (young.isEmpty || young.contains(drop.database))
                && marks.last != drop.transaction
            {
                marks.append(drop.transaction)
            }
            return marks
        }
        for drop in drops where drop.transaction.lsn > position && mayBeMeant(drop) && marks.last != drop.transaction {
            marks.append(drop.transaction)
        }
        return marks
    }

    /// The last drop of each name, and the earliest of these.
    func found() -> (target: LSN, drops: [(table: TableName, transaction: TransactionMark)])? {
        var last: [TableName: TransactionMark] = [:]
        for drop in drops where isMeant(drop) {
            guard let relation = drop.relation, let schema = relation.schema else { continue }
            last[TableName(schema: schema, name: relation.name)] = drop.transaction
        }
        guard let first = last.values.min(by: { $0.lsn < $1.lsn }) else { return nil }
        return (first.lsn, last.map { (table: $0.key, transaction: $0.value) }.sorted { $0.table < $1.table })
    }
}

/// The archive has no drop of these tables.
public struct NoDropFound: Explained, Equatable {
    public let pattern: TablePattern
    /// The newest backup, when none has the tables' database.
    public let newest: String?
    /// Whether the WAL shows a database of this name.
    public let isYoung: Bool
    /// As in `DropMoment`; without a backup of the database, the drops in every such database.
    public let untold: [TransactionMark]
    public let later: PlanRefusal.Alternative?
    /// What keeps parts of the WAL from being searched, each as the middle of a sentence.
    public let obstacles: [String]
    /// WAL that couldn't be looked through.
    public let unread: [UnreadWAL]
    public var message: String {
        newest == nil
            ? "no drop of the tables is in the archive" : "no backup has database \"\(pattern.database)\""
    }
    public var detail: String? {
        if let newest {
            let listed = untold.isEmpty ? "" : DropMoment.sentence(untold)
            if isYoung {
                return
                    "According to WAL, no backup was taken while it existed; WAL does not show which of its tables "
                    + "was dropped when."
                    + (untold.isEmpty ? "" : " In this database: " + listed)
            }
            return
                "WAL before and after the newest backup, \"\(newest)\", shows no database of this name either."
                + (untold.isEmpty ? "" : " In databases that no backup has: " + listed)
        }
        return
            "Looked, from the oldest backup on, for tables of database \"\(pattern.database)\" that are in a backup or "
            + "in WAL, and for transactions that dropped them."
            + (untold.isEmpty ? "" : " " + DropMoment.sentence(untold))
    }
    public var hint: String? {
        if let later { return "Reachable: \(later.sentence)." }
        if newest != nil { return "Name the moment with --target-time: the recovery brings the database back as well." }
        return unarchivedDropHint
    }
}

extension DropMoment {
    /// That a table of the name may have been dropped later, as sentences; nil when that is impossible.
    public var doubt: String? {
        let unknown = unread.isEmpty ? nil : UnreadWAL.sentence(unread)
        guard !untold.isEmpty else {
            return unknown.map { "A later table of this name may have been dropped as well. " + $0 }
        }
        return "A later table of this name may have been dropped as well. " + DropMoment.sentence(untold)
            + (later.map { " Instead: \($0.sentence)." } ?? "") + (unknown.map { " " + $0 } ?? "")
    }

    /// The drops of relations without a name, as a sentence.
    public static func sentence(_ untold: [TransactionMark]) -> String {
        let listed = untold.suffix(8).map { "transaction \($0.xid) at \($0.time) (LSN \($0.lsn))" }
        return "Relations whose names are neither in a backup nor in WAL were dropped by "
            + (untold.count > listed.count ? "\(untold.count) transactions, the last of them " : "")
            + listed.joined(separator: ", ") + "."
    }
}
