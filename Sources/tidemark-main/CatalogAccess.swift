import Archiving
import BaseBackup
import Catalog
import Configuration
import Platform
import Repository
import WAL

/// The cluster's catalog, brought up to date, with the backups that give its entries a meaning.
struct CatalogAccess {
    let cluster: ClusterConfiguration
    let archive: ClusterArchive
    let catalog: Catalog
    /// The complete backups, in order of their start position.
    let backups: [BackupDescription]
    /// Backups that can't be understood: what could be recovered from them is not known.
    let unreadable: [BackupListing.Unreadable]

    init(_ invocation: Invocation) throws {
        cluster = try invocation.cluster()
        archive = try currentArchive(of: cluster)
        let log = invocation.log
        do {
            catalog = try Catalog(
                at: cluster.state.catalog(of: archive.incarnation), archive: archive,
                note: { message in log(.warning, message) })
        } catch let error as SystemError {
            throw Problem(
                error.message, detail: "The catalog of the repository is kept in \"\(cluster.stateDirectory)\".",
                hint: "Make that directory writable for the user who runs tidemark, or set state_directory.")
        }
        let listing = try archive.listBackups()
        (backups, unreadable) = (listing.complete, listing.unreadable)
        for backup in unreadable { log(.warning, backup.reason) }
    }

    /// Brings the catalog up to date and asks it.
    func ask<Value>(_ invocation: Invocation, _ body: (Catalog) throws -> Value) throws -> Value {
        let (terminal, log) = (invocation.terminal, invocation.log)
        defer { terminal.finishProgress() }
        return try catalog.current(
            jobs: cluster.jobs,
            progress: { done, all in terminal.progress("reading segments: \(done) of \(all)", log: log) }, body)
    }

    /// What of the log is not there on purpose.
    func expired(_ invocation: Invocation) throws -> SegmentSet {
        try WALGaps.expired(cluster, archive, segmentSize: try catalog.segmentSize() ?? 16 << 20, invocation)
    }

    var spans: [BackupSpan] { backups.map(BackupSpan.init) }

    /// Words that must be repeated on other tidemark command lines to mean the same cluster.
    static func sameCluster(_ invocation: Invocation) -> String {
        ["config", "cluster"].compactMap { name in
            invocation.arguments.value(name).map { " --\(name) \(shellQuoted($0))" }
        }.joined()
    }
}

extension BackupSpan {
    init(_ backup: BackupDescription) {
        self.init(
            label: backup.label, timeline: backup.timeline, start: backup.startLSN, stop: backup.stopLSN,
            startTime: backup.startTime, stopTime: backup.stopTime)
    }
}

/// The relation maps of the backups, read when they are asked for: the newest before a position is tried first, then
/// the one after it.
final class BackupNames {
    private let access: CatalogAccess
    private var maps: [String: RelationNames] = [:]
    private let log: Log

    init(_ access: CatalogAccess, log: Log) {
        self.access = access
        self.log = log
    }

    func names(at lsn: LSN) -> [RelationNames] {
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
            log(.warning, "the relation map of backup \"\(label)\" cannot be read: \(error)")
        }
        maps[label] = names
        return names
    }
}
