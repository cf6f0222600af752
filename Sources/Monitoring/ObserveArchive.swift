import Archiving
import Backups
import Glibc
import Platform
public import Recovery
public import Repository
public import Retention
public import WAL

extension ArchiveObservation {
    /// Follows the cluster's history through the repository by the objects' names, and reads a few summaries for times.
    ///
    /// - Parameters:
    ///   - timeline: the server's; nil takes the newest one in the archive.
    ///   - segmentSize: in bytes, when the repository has no backup that tells it.
    ///   - policy: what may have been expired on purpose: that is no gap.
    ///   - dataDirectory: the cluster's own: what leads to its timeline isn't expired.
    ///   - acknowledged: the last segment that the server was told is archived, before this was called.
    ///   - breaks: segments that are known not to go on where the one before ends, or to be damaged.
    ///   - contradiction: from there on, what the archive has is another server's, and brings back nothing of this
    ///     one's.
    public init(
        of archive: ClusterArchive, timeline: TimelineID?, segmentSize: UInt32,
        policy: RetentionPolicy, now: Moment, dataDirectory: String? = nil, acknowledged: SegmentName? = nil,
        breaks: [WALBreak] = [], contradiction: Contradiction? = nil
    ) throws {
        incarnation = archive.incarnation
        backups = try archive.listBackups()
        self.segmentSize = backups.complete.last?.segmentSize ?? segmentSize
        let timelines = try archive.timelines()
        // The server may be on a timeline of which nothing has been archived yet.
        let followed = [timeline, timelines.last].compactMap { $0 }.first { timelines.contains($0) } ?? TimelineID(1)
        self.timeline = followed
        gaps = []
        var history = TimelineHistory(followed)
        if followed.rawValue > 1 {
            if let found = try archive.readableHistory(followed) {
                history = found
            } else {
                historyProblem = LostHistory.message(followed, isDamaged: try archive.has(.history(followed)))
            }
        }
        if historyProblem == nil {
            damagedHistory = try archive.histories()
                .last { try archive.readableHistory($0) == nil }
                .map { LostHistory(timeline: $0, parent: nil, isDamaged: true) }
        }
        if let own = contradiction?.history, own.timeline == followed { history = own }
        let size = self.segmentSize
        let limit = contradiction.map { $0.position.rawValue / UInt64(size) }
        let lineage = Lineage(history, segmentSize: size)
        let own = backups.complete.filter {
            history.contains($0.timeline, at: $0.startLSN) && history.contains($0.timeline, at: $0.stopLSN)
        }
        if historyProblem == nil {
            strangers = Set(backups.complete.map(\.label)).subtracting(own.map(\.label))
        }
        // One that can't be examined may be whole; the check of known damage reports the error.
        for backup in backups.complete { damage[backup.label] = (try? visibleDamage(of: backup, from: archive)) ?? nil }
        // Without the history, each timeline is looked at by itself.
        if historyProblem != nil {
            let known = try archivedWAL(
                of: archive,
                expired: {
                    try expiredSegments(
                        of: archive, listing: backups, policy: policy, dataDirectory: dataDirectory, now: now,
                        segmentSize: $0)
                }, backups.complete.compactMap(\.wal))
            gaps = known.gaps().map { Gap($0) }
        }
        let oldest = own.min { $0.startLSN < $1.startLSN }
        func segments(from position: LSN?) throws -> Set<SegmentName> {
            try timelines.filter(history.includes).reduce(into: []) { found, timeline in
                let first = position.map { SegmentName(timeline: timeline, containing: $0, segmentSize: size) }
                found.formUnion(try archive.segments(timeline: timeline, from: first))
            }
        }
        var present = try segments(from: oldest?.startLSN)
        // The gap in which the oldest backup begins may itself begin before that.
        if let oldest, !present.contains(lineage.file(containing: oldest.startLSN)) {
            present = try segments(from: nil)
        }
        if let limit { present = present.filter { $0.number(segmentSize: size) < limit } }
        let archived = SegmentSet(present.sorted(), segmentSize: size)
        let others = contradiction.flatMap { found in limit.map { Gap(found, at: lineage.file($0)) } }
        // What an ancestor wrote after it was left is no part of the cluster's history.
        let last = lineage.newest(in: archived)
        guard last != nil || (oldest != nil && others == nil) else {
            unreached = others
            return
        }
        newest = last.map(lineage.file)
        let genealogy = Genealogy([followed: history], segmentSize: size)
        func commit(before number: UInt64) throws -> Moment? {
            try ArchiveObservation.newestCommit(before: number, of: archived, on: lineage, archive)
        }
        newestCommit = try last.flatMap { try commit(before: $0 + 1) }

        guard let oldest else { return }
        let first = oldest.startLSN.rawValue / UInt64(size)
        // What another server's WAL has taken the place of is told already.
        let needed = own.filter { one in limit.map { one.stopSegment.number(segmentSize: size) < $0 } ?? true }
            .compactMap(\.wal)
        func known(expired: SegmentSet? = nil) -> ArchivedWAL {
            ArchivedWAL(
                archived, genealogy, expired: expired, breaks: breaks, backups: needed,
                acknowledged: limit == nil ? acknowledged : nil)
        }
        var wal = known()
        let all = wal.gaps(on: lineage, from: first)
        if !all.isEmpty {
            let expired = try expiredSegments(
                of: archive, listing: backups, policy: policy, dataDirectory: dataDirectory, now: now, segmentSize: size
            )
            wal = known(expired: expired)
        }
        for gap in wal.gaps(on: lineage, from: first).map({ Gap($0) }) where !gaps.contains(gap) { gaps.append(gap) }
        for found in wal.breaks(on: lineage, from: first) {
            var gap = Gap(found)
            gap.from = try commit(before: found.segment.number(segmentSize: size))
            gap.to = try archive.readableSummary(of: found.segment)?.facts.earliestCommit?.time
            gaps.append(gap)
        }
        gaps.sort { $0.first.number(segmentSize: size) < $1.first.number(segmentSize: size) }
        // The picture has space for a few; a hundred summaries are read quickly.
        for index in gaps.indices.prefix(50) {
            guard let missing = gaps[index].missing else { continue }
            gaps[index].from = try commit(before: missing.numbers.lowerBound)
            let after = lineage.file(missing.numbers.upperBound + 1)
            if archived.contains(after) {
                gaps[index].to = try archive.readableSummary(of: after)?.facts.earliestCommit?.time
            }
        }
        // After the last segment that was removed on purpose, none may be missing.
        let removed = all.flatMap(\.ranges).reversed().lazy
            .compactMap { ArchiveObservation.newest(of: wal.expired, in: $0) }.first
        keptFrom = own.filter { backup in removed.map { backup.startLSN.rawValue / UInt64(size) > $0 } ?? true }
            .map(\.startTime).min()

        for backup in own where damage[backup.label] == nil && contradiction == nil {
            let reach = wal.reach(from: backup.startLSN, on: lineage)
            guard reach.end < backup.stopLSN, let gap = reach.gap else { continue }
            damage[backup.label] = "WAL \(gap.sentence), and without it the backup is not consistent"
        }
        let usable = own.filter { damage[$0.label] == nil }
        let reaches = usable.map { (backup: $0, reach: wal.reach(from: $0.startLSN, on: lineage)) }
            .filter { !$0.reach.pieces.isEmpty && $0.backup.stopLSN <= $0.reach.end }
        if let furthest = reaches.max(by: { $0.reach.end < $1.reach.end }) {
            let equal = reaches.filter { $0.reach.end == furthest.reach.end }
            windowStart = equal.map(\.backup.stopTime).min()
            if let others, let limit {
                unreached = others
                reachEnd = [try commit(before: limit), equal.map(\.backup.stopTime).max()].compactMap { $0 }.max()
            }
            if let stop = furthest.reach.stop {
                unreached = Gap(stop)
                let number = stop.segment.number(segmentSize: size)
                reachEnd = [try commit(before: number), equal.map(\.backup.stopTime).max()].compactMap { $0 }.max()
            }
            if let gap = furthest.reach.gap {
                unreached = gaps.first { $0.missing?.numbers.overlaps(gap.numbers) ?? false } ?? Gap(gap)
                reachEnd = [try commit(before: gap.numbers.lowerBound), equal.map(\.backup.stopTime).max()]
                    .compactMap { $0 }.max()
            }
        } else {
            unreached = others
            let reach = wal.reach(from: usable.last?.startLSN ?? oldest.startLSN, on: lineage)
            if let stop = reach.stop { unreached = Gap(stop) }
            if let gap = reach.gap {
                unreached = gaps.first { $0.missing?.numbers.overlaps(gap.numbers) ?? false } ?? Gap(gap)
            }
        }
    }

    /// The number of the newest of some segments in a range.
    private static func newest(of segments: SegmentSet, in range: SegmentRange) -> UInt64? {
        let first = range.first.number(segmentSize: segments.segmentSize)
        let last = range.last.number(segmentSize: segments.segmentSize)
        let run = segments.runs(of: range.first.timeline).last { $0.lowerBound <= last }
        return run.map { min($0.upperBound, last) }.flatMap { $0 >= first ? $0 : nil }
    }

    /// The time of the newest commit that can be read; searches at most fifty segments without one.
    private static func newestCommit(
        before number: UInt64, of archived: SegmentSet, on lineage: Lineage, _ archive: ClusterArchive
    ) throws -> Moment? {
        var number = number
        for _ in 0..<50 where number > 0 {
            number -= 1
            let name = lineage.file(number)
            guard archived.contains(name) else { return nil }
            if let time = try archive.readableSummary(of: name)?.facts.latestCommit?.time { return time }
        }
        return nil
    }
}
