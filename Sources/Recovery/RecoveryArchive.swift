import Archiving
public import Backups
import DataDirectory
public import Planning
public import Platform
public import Repository
public import WAL

/// A cluster's archive, opened for planning and recovering: its incarnation, the backups, and a source for the planner.
public struct RecoveryArchive: Sendable {
    /// The incarnation's part of the repository.
    public let contents: ClusterArchive
    public let backups: BackupListing
    /// What the cluster's own data directory says; nil when it can't be used.
    public let own: OwnDirectory?
    /// What else counts as archived, besides whole segments.
    private(set) var extent = Extent()
    /// Segments that are known to be there and not to be delivered to any server, though their heads are sound.
    public var undelivered: [WALBreak] = []
    private let jobs: Int
    let dataDirectory: String
    var restorable: [RestorableBackup]
    /// A remark about an incarnation that isn't in use; nil for the one that is.
    let former: String?
    /// The requested timeline, when some or all of it was put aside; it is served for this recovery only.
    public let putAside: TimelineID?
    /// What had to be assumed, as sentences.
    public let remarks: [String]

    /// - Parameters:
    ///   - dataDirectory: the configured one; it shows which incarnation is in use. It may be gone.
    ///   - timeline: the requested number; it may have been put aside.
    ///   - named: the requested incarnation, by its folder's name.
    ///   - label: the requested backup, which determines the incarnation as well.
    ///   - moment: the requested time, which determines it when nothing else does.
    ///   - replaced: the cluster's own data directory, if the recovery replaces it: its WAL is part of the recovery.
    public init(
        repository: Repository, cluster: String, dataDirectory: String, jobs: Int, timeline: TimelineID? = nil,
        incarnation named: String? = nil, backup label: String? = nil, at moment: Moment? = nil,
        replaced: String? = nil
    ) throws {
        guard let known = try ClusterIncarnations(of: cluster, dataDirectory: dataDirectory, in: repository) else {
            throw NothingArchived(
                cluster: cluster, location: repository.location, absence: repository.store.absenceHint)
        }
        let found =
            try named.map(known.named) ?? label.map(known.holding) ?? moment.map(known.holding) ?? known.current
        let (chosen, current) = (found.incarnation, known.current.incarnation)
        var remarks: [String] = []
        if chosen != current {
            let sentence =
                "This is what the cluster was before initdb or pg_upgrade: incarnation \(chosen.folderName), "
                + "PostgreSQL \(chosen.major). The one in use is \(current.folderName)."
            remarks.append(sentence)
            former = sentence
        } else {
            former = nil
        }
        if chosen == current, known.all.count > 1, !known.isKnown {
            remarks.append(
                "The repository has \(known.all.count) incarnations of cluster \"\(cluster)\"; \(chosen.folderName) has "
                    + "the newest backup and is used.")
        }
        var backups = try found.listBackups()
        for bad in backups.unreadable { remarks.append("Backup \"\(bad.label)\" is left out: \(bad.reason.message).") }
        for missing in backups.unsealed { remarks.append(sentences(of: missing)) }
        for doubt in known.doubted where doubt.incarnation == chosen || doubt.incarnation == current {
            remarks.append(sentences(of: doubt.reason))
        }
        for one in backups.unlistedAside { remarks.append("\(one.sentence).") }
        do { own = try OwnDirectory(dataDirectory, of: found) } catch {
            own = nil
            remarks.append("Nothing is known of data directory \"\(dataDirectory)\": \(explanation(of: error)).")
        }
        var aside = try timeline.flatMap { try AsideStore(found, timeline: $0) }
        // In place, the directory's WAL is archived first: what contradicts it is another server's.
        if let store = aside, let path = replaced,
            try OwnDirectory(path, of: found)?.contradiction == nil,
            try OwnDirectory(path, of: ClusterArchive(chosen, in: store))?.contradiction != nil
        {
            aside = nil
            remarks.append(
                "WAL of timeline \(store.timeline) that was put aside isn't read: the server in \"\(path)\" has other WAL "
                    + "of that timeline.")
        }
        contents = aside.map { ClusterArchive(chosen, in: $0) } ?? found
        putAside = aside == nil ? nil : timeline
        if let putAside { backups.restore(putAside) }
        if let label, let one = backups.aside.first(where: { $0.backup.label == label }) { throw one.problem }
        for one in backups.aside {
            remarks.append("Backup \"\(one.backup.label)\" is left out: \(one.damage), with its \"\(one.file)\".")
        }
        self.backups = backups
        if let putAside {
            remarks.append(
                "WAL of timeline \(putAside) was put aside; this recovery reads it where nothing is in its place.")
            // If the server is to stay on the timeline, its archiving continues there.
            if let subject = aside?.subjects.first {
                remarks.append(
                    "Once a server has recovered to it and archives, bring it back with "
                        + "\"\(runnable("tidemark segments put-back \(subject)"))\": later recoveries need it as well.")
            }
        }
        remarks += own?.unreadWaiting ?? []
        remarks += own?.damagedHistories.map { "\(capitalized($0.message)). \($0.hint ?? "")" } ?? []
        if let problem = own?.contradictionProblem {
            let unknown = ContradictionUnknown(dataDirectory: dataDirectory, cause: problem)
            remarks.append("tidemark \(unknown.message): \(explanation(of: problem)).")
        }
        if let other = own?.contradiction {
            remarks.append(
                "\(other.message). From LSN \(other.position) on, this follows the archive's. If the server is the right one, "
                    + "\"\(other.remedy)\" takes the other's out of the way.")
        }
        self.remarks = remarks
        self.dataDirectory = dataDirectory
        restorable = backups.complete.map { [contents] backup in
            var restorable = RestorableBackup(backup)
            // A backup that can't be examined may be whole.
            restorable.damage = (try? damage(of: backup, from: contents)) ?? nil
            return restorable
        }
        self.jobs = jobs
    }

    /// What the planner asks.
    public var source: ArchivePlanSource { planSource(usePartials: extent.usesPartials, waiting: extent.waiting) }

    /// The same archive for searches that go as far as a recovery does which replays incomplete segments, or which
    /// archives first what the dead server left in pg_wal.
    public func reading(partials: Bool, waiting: Bool) -> RecoveryArchive {
        var archive = self
        archive.extent.waiting = waiting ? own?.waiting ?? WaitingWAL() : WaitingWAL()
        archive.extent.usesPartials = partials || archive.extent.waiting.hasLast
        return archive
    }

    /// A source for the planner.
    /// - Parameter waiting: counts as archived.
    public func planSource(usePartials: Bool, waiting: WaitingWAL = WaitingWAL()) -> ArchivePlanSource {
        ArchivePlanSource(
            archive: contents, segmentSize: backups.complete.last?.segmentSize ?? 16 << 20,
            backups: restorable, jobs: jobs, usePartials: usePartials,
            waiting: waiting, undelivered: undelivered)
    }
}

/// What counts as archived for a search, besides whole segments.
struct Extent {
    var waiting = WaitingWAL()
    var usesPartials = false
}

extension RecoveryArchive {
    /// What is known of a segment's records; nil when it was stored unread.
    /// - Throws: as `ClusterArchive.summary`.
    func summary(of name: SegmentName) throws -> SegmentSummary? {
        if let local = extent.waiting.segments[name] { return local.summary }
        do { return try contents.summary(of: name) } catch is ObjectAbsent where extent.usesPartials {
            return try contents.stored(.partial(name)).summary(reading: name)
        }
    }

    /// A segment, to be read.
    /// - Throws: `ObjectAbsent`, and what opening it throws.
    func piece(_ name: SegmentName) throws -> SegmentRecords.Piece {
        if let local = extent.waiting.segments[name] {
            return SegmentRecords.Piece(name: name, place: .file(local.path, local.contents))
        }
        do { return SegmentRecords.Piece(name: name, place: .stored(try contents.stored(name))) } catch is ObjectAbsent
            where extent.usesPartials
        {
            return SegmentRecords.Piece(name: name, place: .stored(try contents.stored(.partial(name))))
        }
    }
}

/// The cluster has never archived anything.
public struct NothingArchived: Explained, Equatable {
    public let cluster: String
    public let location: String
    /// What to check, in that store; `ObjectStore.absenceHint`.
    let absence: String?
    public var message: String { "repository \"\(location)\" has nothing of cluster \"\(cluster)\"" }
    public var hint: String? {
        "\"\(runnable("tidemark init"))\" starts archiving. Is the right repository configured?"
            + (absence.map { " \($0)" } ?? "")
    }
}

extension RestorableBackup {
    public init(_ backup: BackupDescription) {
        self.init(
            label: backup.label, timeline: backup.timeline, start: backup.startLSN, stop: backup.stopLSN,
            startTime: backup.startTime, stopTime: backup.stopTime, size: backup.size, place: backup.place)
    }
}
