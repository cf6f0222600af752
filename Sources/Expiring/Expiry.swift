import Backups
import Platform
import Repository
import Retention
import WAL

/// One expiry: reads what the decision needs, and carries it out.
struct Expiry {
    let archive: ClusterArchive
    let listing: BackupListing

    func facts(isLeased: (String) throws -> Bool) throws -> [RetainedBackup] {
        try listing.confirmUsable()
        var wal = NeededWAL(of: archive)
        return try listing.all.map { backup in
            let aside = listing.aside.first { $0.backup.label == backup.label }
            let visible = try aside?.damage ?? visibleDamage(of: backup, from: archive) ?? wal.lack(of: backup)
            var retained = RetainedBackup(
                label: backup.label, isFull: backup.kind == .full, timeline: backup.timeline, start: backup.startLSN,
                stop: backup.stopLSN, startTime: backup.startTime, stopTime: backup.stopTime,
                isPinned: backup.isPinned, pinnedUntil: backup.pinnedUntil,
                isLeased: try isLeased(backup.label),
                damage: try visible ?? damage(of: backup, from: archive),
                needs: backup.packs.map(\.label).filter { $0 != backup.label })
            retained.lastTimeline = backup.stopSegment.timeline
            retained.isVisiblyDamaged = visible != nil
            retained.isAside = aside != nil
            return retained
        }
    }

    /// Those of the archive, and the one the cluster is on, of which nothing may be archived yet.
    func timelines(_ own: OwnTimeline? = nil) throws -> [RetainedTimeline] {
        // The timeline of a backup that was put aside needn't be there.
        let aside = Set(listing.aside.map(\.backup.label))
        var all = Set(try archive.timelines())
        all.formUnion(listing.all.lazy.filter { !aside.contains($0.label) }.map(\.timeline))
        if let own { all.insert(own.timeline) }
        return try all.sorted().map { timeline in
            let segments = try archive.segments(timeline: timeline)
            let newest = segments.suffix(8)
            let known = try history(timeline, own)
            var branch = RetainedTimeline(
                known ?? TimelineHistory(timeline),
                lastCommit: try lastCommit(in: newest) ?? archive.lastArchived(on: timeline),
                end: newest.last.flatMap(end))
            if known == nil, timeline > TimelineID(1) {
                let size = listing.all.first?.segmentSize
                // A timeline begins in its first segment.
                branch.unknownBefore = size.flatMap { segments.first?.end(segmentSize: $0) } ?? LSN(.max)
            }
            return branch
        }
    }

    /// Nil when nothing tells it.
    /// - Throws: for a damaged one that no descendant's file tells.
    private func history(_ timeline: TimelineID, _ own: OwnTimeline?) throws -> TimelineHistory? {
        if let found = try archive.readableHistory(timeline) { return found }
        if let history = own?.history, history.timeline == timeline { return history }
        return try archive.timelineHistory(timeline)
    }

    /// From the newest few segments' summaries. Where they tell of none, it was at the latest when the last file of the
    /// timeline was archived.
    private func lastCommit(in newest: ArraySlice<SegmentName>) -> Moment? {
        for name in newest.reversed() {
            guard let summary = try? archive.summary(of: name) else { return nil }
            if let commit = summary.facts.latestCommit { return commit.time }
        }
        return nil
    }

    /// Where the records of a segment end: one in which its timeline was left may end early, and one that can't be read
    /// counts as full.
    private func end(of newest: SegmentName) -> LSN? {
        if let summary = try? archive.summary(of: newest) { return summary.recordsEnd }
        return listing.all.first.map { newest.end(segmentSize: $0.segmentSize) }
    }

    /// By the commits in the segments. Nil when the archive can't be listed, or a history can't be read.
    func firstWAL(since moment: Moment) -> LSN? {
        guard let size = listing.all.first?.segmentSize, let timelines = try? archive.timelines(),
            let segments = try? timelines.flatMap({ try archive.segments(timeline: $0) }),
            let histories = try? timelines.compactMap({ try archive.timelineHistory($0) })
        else { return nil }
        let archived = (try? archive.archivedTimes(of: timelines)) ?? [:]
        return Retention.firstWAL(
            since: moment, segments, histories: histories, segmentSize: size,
            age: { name in
                guard let summary = try? archive.summary(of: name) else { return .unreadable }
                return summary.facts.latestCommit.map { .commit($0.time) } ?? .noCommit
            }, archived: { archived[$0] })
    }
}

extension ClusterArchive {
    /// When the last file of a timeline was archived, by the clock of the storage; nil when nobody knows. What is
    /// imported, or copied without its times, counts as archived then.
    fileprivate func lastArchived(on timeline: TimelineID) throws -> Moment? {
        var entries = try store.list(incarnation.walFolder).filter { $0.name == incarnation.history(timeline).name }
        if let folder = try walFolders(of: timeline).last { entries += try store.list(folder).filter { !$0.isFolder } }
        var last: Int64?
        for entry in entries {
            guard let modified = entry.modified else { return nil }
            last = max(last ?? modified, modified)
        }
        return last.map { Moment(microseconds: $0) }
    }

    /// When each segment was archived, as far as that is known; of several copies the last.
    fileprivate func archivedTimes(of timelines: [TimelineID]) throws -> [SegmentName: Moment] {
        var times: [SegmentName: Moment] = [:]
        for folder in try timelines.flatMap(walFolders) {
            for found in try files(in: folder) {
                guard case .segment(let name) = found.file, let modified = found.entry.modified else { continue }
                let moment = Moment(microseconds: modified)
                times[name] = max(times[name] ?? moment, moment)
            }
        }
        return times
    }
}
