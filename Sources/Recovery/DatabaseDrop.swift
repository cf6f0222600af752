public import Backups
import Configuration
public import Planning
public import Platform
import Repository
public import WAL

/// The position just before a database was dropped.
public struct DatabaseDropMoment: Sendable {
    /// Stops before the server marked the database's row as invalid, in place and outside of any transaction, which is
    /// the first thing DROP DATABASE does since 15.4 (and 13.12, 14.9): nobody can connect to a database with the mark.
    /// Where there is no mark, stops before the row was deleted.
    public let target: RecoveryTarget
    public let database: UInt32
    public let drop: DatabaseDrop
    /// Whether the row was marked.
    public let isMarked: Bool
    /// Later drops of databases whose names neither a backup nor the WAL shows: one of them may have had this name.
    public fileprivate(set) var untold: [DatabaseDrop] = []
    /// WAL after the drop, or before it, that couldn't be looked through.
    public fileprivate(set) var unread: [UnreadWAL] = []

    /// The doubt that `untold` raises, as sentences; nil when it is empty.
    public var doubt: String? {
        let unknown = unread.isEmpty ? nil : UnreadWAL.sentence(unread)
        guard !untold.isEmpty else {
            return unknown.map { "The database may have been dropped once more. " + $0 }
        }
        let listed = untold.suffix(8).map { "transaction \($0.xid) (LSN \($0.lsn))" }
        return
            "A later database of this name may have been dropped as well. Databases whose names are neither in a backup nor in "
            + "WAL were dropped by "
            + (untold.count > listed.count ? "\(untold.count) transactions, the last of them " : "")
            + listed.joined(separator: ", ") + "." + (unknown.map { " " + $0 } ?? "")
    }
}

/// Finds when a database was dropped: the drop's record has its OID, whose name is in the backups' relation maps. The
/// name of a database that no backup has, or that had another name then, is found in the WAL. Of several drops of the
/// name, the last is meant.
///
/// The files vanish when that record is replayed, before the transaction that deletes the row commits; so neither the
/// transaction nor its time can be the target.
/// - Parameter timeline: the timeline whose history is searched.
/// - Throws: `NoDatabaseDropFound`, `PlanRefusal` when the timeline is ambiguous, and what reading the archive throws.
public func momentBeforeDrop(
    ofDatabase name: String, in archive: RecoveryArchive, timeline: RecoveryTarget.Timeline = .own
) throws -> DatabaseDropMoment {
    var names: Set<String> = []
    var others: [(name: String?, moment: DatabaseDropMoment)] = []
    var (facts, seen): ([SegmentFacts], LSN?) = ([], nil)
    var obstacles: [String] = []
    var unread: [UnreadWAL] = []
    for backup in archive.backups.complete.reversed() {
        let map = try RelationMap(of: backup.label, of: archive.contents) {
            $0.database == 0 && $0.oid == RelationMap.databaseCatalog
        }
        names.formUnion(map.databases.map(\.name))
        guard let wal = try archive.reachableWAL(from: backup.label, timeline: timeline) else { continue }
        if let obstacle = wal.obstacle, !obstacles.contains(obstacle) { obstacles.append(obstacle) }
        // What comes after it has been searched.
        let (segments, holes) = try archive.segments(from: wal, through: seen, segmentSize: backup.segmentSize)
        let isNew = { [seen] (lsn: LSN) in
            lsn >= backup.startLSN && wal.holds(lsn) && seen.map { lsn < $0 } ?? true
        }
        let (new, lost) = try archive.readableFacts(of: segments)
        unread = holes + lost + unread
        (facts, seen) = (new + facts, backup.startLSN)
        let own = map.databases.first { $0.name == name }?.oid
        let drops = new.flatMap(\.databaseDrops).filter { isNew($0.lsn) }
        let known = own.flatMap { DatabaseDropMoment(of: $0, in: facts) }
        var found = [known].compactMap(\.self).filter { wal.holds($0.drop.lsn) }
        // If the only drop is the one looked for, the names of the others don't matter.
        if drops.contains(where: { $0.database != own }) {
            let named = try archive.databaseNames(in: segments, map, from: backup.startLSN, unread: &unread)
            for drop in drops where drop.database != own {
                guard let moment = DatabaseDropMoment(of: drop.database, in: facts) else { continue }
                let told =
                    named.databaseName(drop.database, before: drop.lsn)
                    ?? map.databases.first { $0.oid == drop.database }?.name
                if told == name { found.append(moment) } else { others.append((told, moment)) }
            }
        }
        if var last = found.max(by: { $0.drop.lsn < $1.drop.lsn }) {
            last.untold = others.filter { $0.name == nil && $0.moment.drop.lsn > last.drop.lsn }.map(\.moment.drop)
                .sorted { $0.lsn < $1.lsn }
            last.unread = unread
            return last
        }
    }
    throw NoDatabaseDropFound(
        name: name, known: names.sorted(), newest: archive.backups.newest?.label, unread: unread,
        others: names.contains(name) ? [] : archive.offers(others, timeline), obstacles: obstacles)
}

/// The last drop of a database before the oldest backup, as far as the WAL from before it is archived and tells the
/// name; nil when there is none.
/// - Throws: as `momentBeforeDrop`.
public func dropBeforeBackups(
    ofDatabase name: String, in archive: RecoveryArchive, timeline: RecoveryTarget.Timeline
) throws -> DroppedTooEarly? {
    guard let (backup, segments) = try archive.beforeBackups(timeline) else { return nil }
    let map = try RelationMap(of: backup.label, of: archive.contents) {
        $0.database == 0 && $0.oid == RelationMap.databaseCatalog
    }
    // What can't be read there was not promised.
    var (facts, unread) = try archive.readableFacts(of: segments)
    let drops = facts.flatMap(\.databaseDrops).filter { $0.lsn < backup.startLSN }
    guard !drops.isEmpty else { return nil }
    let named = try archive.databaseNames(in: segments, map, from: .zero, unread: &unread)
    return try drops.last { named.databaseName($0.database, before: $0.lsn) == name }.map { drop in
        DroppedTooEarly(
            subject: "database \"\(name)\"", xid: drop.xid, lsn: drop.lsn,
            time: try archive.commit(of: drop.xid, from: drop.lsn, segmentSize: backup.segmentSize)?.time,
            backup: RestorableBackup(backup))
    }
}

/// For a drop that nothing in the archive shows.
public let unarchivedDropHint =
    "Is the segment with the drop archived already? If not, run \"select pg_switch_wal()\" on the server, and try again in "
    + "a moment. Otherwise name the moment with --target-time."

/// What is looked for was dropped, but before the oldest backup began: no recovery goes there.
public struct DroppedTooEarly: Explained {
    let subject: String
    let xid: UInt32
    let lsn: LSN
    let time: Moment?
    let backup: RestorableBackup

    /// - Parameter subject: what was dropped, as in a sentence.
    public init(subject: String, xid: UInt32, lsn: LSN, time: Moment?, backup: RestorableBackup) {
        (self.subject, self.xid, self.lsn, self.time, self.backup) = (subject, xid, lsn, time, backup)
    }

    public var message: String { "\(subject) was dropped before the oldest backup" }
    public var detail: String? {
        "Transaction \(xid) dropped it" + (time.map { " at \($0)" } ?? "")
            + " (LSN \(lsn)); the oldest usable backup, \"\(backup.label)\", began at \(backup.startTime) "
            + "(LSN \(backup.start))."
    }
    public var hint: String? { "Is there an older backup, or a dump, elsewhere? This repository cannot bring it back." }
}

extension DatabaseDropMoment {
    /// Nil when these segments don't drop it.
    public init?(of database: UInt32, in segments: [SegmentFacts]) {
        var rows: [DatabaseRowChange] = []
        var found: DatabaseDrop?
        for facts in segments {
            rows += facts.databaseRows
            found = facts.databaseDrops.first { $0.database == database }
            if found != nil { break }
        }
        guard let drop = found else { return nil }
        let before = rows.filter { $0.lsn < drop.lsn }
        let deletion = before.last { $0.isDelete && $0.xid == drop.xid }
        let mark = deletion.flatMap { deletion in
            before.last { !$0.isDelete && $0.xid == 0 && $0.block == deletion.block && $0.row == deletion.row }
        }
        self.init(
            target: RecoveryTarget(.lsn(mark?.lsn ?? deletion?.lsn ?? drop.lsn), inclusive: false), database: database,
            drop: drop, isMarked: mark != nil)
    }
}

/// The archive has no drop of the database.
public struct NoDatabaseDropFound: Explained, Equatable {
    public let name: String
    public let known: [String]
    public let newest: String?
    /// WAL that couldn't be looked through.
    public let unread: [UnreadWAL]
    /// What leads to the moments just before other databases were dropped.
    public let others: [PlanRefusal.Alternative]
    /// What keeps parts of the WAL from being searched, each as the middle of a sentence.
    public let obstacles: [String]

    private var isUnknown: Bool { newest != nil && !known.contains(name) }
    public var message: String {
        isUnknown ? "no backup has database \"\(name)\"" : "no drop of database \"\(name)\" is in the archive"
    }
    public var detail: String? {
        let all = "The backups know the databases \(known.map { "\"\($0)\"" }.joined(separator: ", "))."
        guard isUnknown, let newest else { return all }
        return
            "WAL before and after the newest backup, \"\(newest)\", shows no database that was dropped "
            + "under this name. " + all
    }
    public var hint: String? {
        if let last = others.last { return "Reachable: \(last.sentence)." }
        if isUnknown {
            return suggestion(for: name, among: known).map { "Did you mean \"\($0)\"?" }
                ?? "Name the moment with --target-time."
        }
        return unarchivedDropHint
    }
}

extension RecoveryArchive {
    /// The oldest backup of a history, and the segments from before it.
    public func beforeBackups(
        _ timeline: RecoveryTarget.Timeline
    ) throws -> (backup: BackupDescription, segments: [SegmentName])? {
        for backup in backups.complete {
            let request = PlanRequest(RecoveryTarget(.latest, timeline: timeline), backup: backup.label)
            let segments = try Planning.earlierWAL(aware(request), from: source)
            if !segments.isEmpty { return (backup, segments) }
        }
        return nil
    }

    /// A transaction's commit, where it is in the segment of a position or in the one after; nil when it isn't.
    public func commit(of xid: UInt32, from position: LSN, segmentSize: UInt32) throws -> TransactionMark? {
        let source = source
        let number = position.rawValue / UInt64(segmentSize)
        for timeline in try contents.timelines() {
            for number in [number, number + 1] {
                let name = SegmentName(timeline: timeline, number: number, segmentSize: segmentSize)
                guard try contents.has(.segment(name)) else { continue }
                var found: TransactionMark?
                try source.landmarks(of: WALSegments(name, segmentSize: segmentSize), at: 0) { record in
                    if let mark = record.content.commit, mark.xid == xid { found = mark }
                    return found == nil
                }
                if let found { return found }
            }
        }
        return nil
    }

    /// The moments just before databases of other names were dropped, in the order of the WAL.
    fileprivate func offers(
        _ drops: [(name: String?, moment: DatabaseDropMoment)], _ timeline: RecoveryTarget.Timeline
    ) -> [PlanRefusal.Alternative] {
        drops.sorted { $0.moment.drop.lsn < $1.moment.drop.lsn }.compactMap { name, moment in
            var target = moment.target
            target.timeline = timeline
            let database = name.map { "\"\($0)\"" } ?? "with OID \(moment.database), whose name is not known"
            return offer(PlanRequest(target)) { _ in
                "just before transaction \(moment.drop.xid) dropped database \(database)"
            }
        }
    }

    /// What the segments say, in order; the record that straddles into one comes before the segment's own.
    ///
    /// - Parameter unread: decides about one that can't be read: what it throws ends all.
    public func facts(
        of names: [SegmentName], unread: (SegmentName, any Error) throws -> Void = { throw $1 }
    ) throws -> [SegmentFacts] {
        var continuity = Continuity()
        var all: [SegmentFacts] = []
        let archive = self
        try mapInOrder(
            names, workers: 4, ahead: 64,
            transform: { name in (name, Result { try archive.summary(of: name) }) },
            consume: { name, result in
                let summary: SegmentSummary?
                do { summary = try result.get() } catch {
                    try unread(name, error)
                    continuity = Continuity()
                    return
                }
                guard let summary else { return }
                if case .joined(let record?) = continuity.add(summary), let facts = record.facts { all.append(facts) }
                all.append(summary.facts)
            })
        return all
    }
}

extension RecoveryArchive {
    /// Nil when the backup isn't on the history of the timeline.
    /// - Throws: `PlanRefusal` when the timeline is ambiguous.
    public func reachableWAL(from backup: String, timeline: RecoveryTarget.Timeline) throws -> ReachableWAL? {
        let request = PlanRequest(RecoveryTarget(.latest, timeline: timeline), backup: backup)
        return try Planning.reachableWAL(aware(request), from: source)
    }
}

extension Plan {
    /// The segments recovery will read, in order.
    public var segmentNames: [SegmentName] {
        segments.flatMap { range in
            (0..<UInt64(range.count)).map { step in
                SegmentName(
                    timeline: range.first.timeline,
                    number: range.first.number(segmentSize: segmentSize) + step, segmentSize: segmentSize)
            }
        }
    }
}
