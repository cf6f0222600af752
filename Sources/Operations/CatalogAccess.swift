import Archiving
public import Backups
public import Catalog
public import Configuration
import Monitoring
import Platform
import Recovery
public import Repository
public import Retention
public import WAL

/// The cluster's catalog, synchronized, and the backups that give names to its entries.
public struct CatalogAccess {
    public let cluster: ClusterConfiguration
    public let archive: ClusterArchive
    public let catalog: Catalog
    /// The complete backups, in order of their start position.
    public let backups: [BackupDescription]
    /// Backups that can't be read: it isn't known what could be recovered from them.
    public let unreadable: [BackupListing.Unreadable]
    private let context: JobContext

    /// - Throws: `Problem` when the catalog cannot be created, and what reading the repository throws.
    public init(of cluster: ClusterConfiguration, _ context: JobContext = JobContext()) throws {
        (self.cluster, self.context) = (cluster, context)
        archive = try currentArchive(of: cluster, context)
        do {
            catalog = try Catalog(
                at: cluster.state.catalog(of: archive.incarnation), archive: archive,
                note: { message in context.note(.warning, message) })
            catalog.undelivered = KnownDamage.undelivered(of: archive) { context.note(.warning, $0) }
        } catch let error as SystemError {
            throw Problem(
                error.message, detail: "The catalog of the repository is kept in \"\(cluster.stateDirectory)\".",
                hint:
                    "Make that directory writable for the user who runs tidemark, or name another one with --state-directory."
            )
        }
        let listing = try archive.listBackups()
        (backups, unreadable) = (listing.complete, listing.unreadable)
        for backup in unreadable { context.note(.warning, backup.reason) }
        for missing in listing.unsealed { context.note(.warning, missing) }
    }

    /// Synchronizes the catalog and runs `body` with it.
    public func ask<Value>(_ body: (Catalog) throws -> Value) throws -> Value {
        try catalog.current(
            jobs: cluster.jobs,
            progress: { [context] done, total in context.progress(.readingSegments(done: done, total: total)) }, body)
    }

    /// The segments that were removed on purpose.
    public func expired(by policy: RetentionPolicy) throws -> SegmentSet {
        try expiredSegments(of: archive, cluster, by: policy, segmentSize: try ask { try $0.segmentSize() } ?? 16 << 20)
    }

    public var spans: [BackupSpan] { backups.map(BackupSpan.init) }

    /// Where the archive has another server's WAL under the names of that of the cluster's own. It is noted.
    func contradiction() -> Contradiction? { context.noteContradiction(of: cluster, archive) }

    /// The timelines whose histories are missing or damaged. Each is noted.
    func lostHistories() throws -> [LostHistory] {
        let lost = try ask { try $0.lostHistories() }
        for history in lost {
            var hint = history.hint
            if ownHistory(of: history.timeline, in: cluster.dataDirectory) {
                let path = "\(cluster.dataDirectory)/pg_wal/\(history.timeline.fileNamePart).history"
                let push = runnable("tidemark archive-push \(shellQuoted(path))")
                hint = "The server still has it; store it with \"\(push)\"."
            }
            context.note(.error, history.message, detail: history.detail, hint: hint)
        }
        return lost
    }
}

extension JobContext {
    /// Notes where the archive has another server's WAL under the names of that of the cluster's own: reports about
    /// later moments are about the other's.
    @discardableResult
    func noteContradiction(
        of cluster: ClusterConfiguration, _ archive: ClusterArchive, _ level: Log.Level = .error
    ) -> Contradiction? {
        let found = Contradiction.find(byServerIn: cluster.dataDirectory, of: archive)
        if let found {
            note(
                level, found.message,
                detail: "From LSN \(found.position) on, reports about the archive describe the other server's WAL.",
                hint: found.hint)
        }
        return found
    }
}

extension BackupSpan {
    public init(_ backup: BackupDescription) {
        self.init(
            label: backup.label, timeline: backup.timeline, start: backup.startLSN, stop: backup.stopLSN,
            startTime: backup.startTime, stopTime: backup.stopTime, lastTimeline: backup.stopSegment.timeline)
    }
}

/// The relation maps of the backups, read on demand: the newest before a position is tried first, then the one after
/// it.
public final class BackupNames {
    private let access: CatalogAccess
    private var maps: [String: RelationNames] = [:]
    private let context: JobContext

    public init(_ access: CatalogAccess, _ context: JobContext = JobContext()) {
        self.access = access
        self.context = context
    }

    public func names(at lsn: LSN) -> [RelationNames] {
        let backups = access.backups
        let before = backups.last { $0.startLSN <= lsn }
        let after = backups.first { $0.startLSN > lsn }
        return [before, after].compactMap { $0?.label }.map(names(of:))
    }

    private func names(of label: String) -> RelationNames {
        if let known = maps[label] { return known }
        var names = RelationNames()
        do {
            let map = try RelationMap(of: label, of: access.archive)
            for database in map.databases { names.add(database: database.oid, name: database.name) }
            for row in map.relations {
                names.add(
                    .init(oid: row.oid, database: row.database, schema: row.schema, name: row.name, kind: row.kind),
                    file: row.fileNode)
            }
        } catch {
            context.note(.warning, "the relation map of backup \"\(label)\" cannot be read: \(error)")
        }
        maps[label] = names
        return names
    }
}
