public import BaseBackup
import DataDirectory
public import Platform
public import Repository
import WAL

/// A cluster's archive, opened for planning and recovering: the incarnation that is meant, its backups, and what the
/// planner asks.
public struct RecoveryArchive {
    public let store: any ObjectStore
    public let incarnation: Incarnation
    public let backups: BackupListing
    public let source: ArchivePlanSource
    /// What had to be assumed, as sentences.
    public let remarks: [String]

    /// - Parameter dataDirectory: the configured one; it tells which incarnation is meant when there are several. It
    ///   may be gone.
    public init(store: any ObjectStore, cluster: String, dataDirectory: String, jobs: Int) throws {
        self.store = store
        let all = try store.incarnations(of: cluster)
        guard var chosen = all.last else { throw NothingArchived(cluster: cluster, location: store.location) }
        var remarks: [String] = []
        var listing: BackupListing?
        if all.count > 1 {
            let directory = DataDirectory(dataDirectory)
            if let control = try? directory.controlFile(), let major = try? directory.majorVersion(),
                let own = all.first(where: { $0.systemIdentifier == control.systemIdentifier && $0.major == major })
            {
                chosen = own
            } else {
                // Without a data directory the newest backup tells which incarnation was in use last.
                let listings = try all.map { ($0, try listBackups(of: $0, in: store)) }
                let newest = listings.max { newestStop($0.1) < newestStop($1.1) }
                if let newest { (chosen, listing) = (newest.0, newest.1) }
                remarks.append(
                    "The repository holds \(all.count) incarnations of cluster \"\(cluster)\"; \(chosen.folderName) has "
                        + "the newest backup and is used.")
            }
        }
        incarnation = chosen
        backups = try listing ?? listBackups(of: chosen, in: store)
        for bad in backups.unreadable { remarks.append("Backup \"\(bad.label)\" is left out: \(bad.reason.message).") }
        self.remarks = remarks
        source = ArchivePlanSource(
            store: store, incarnation: chosen, segmentSize: backups.complete.last?.segmentSize ?? 16 << 20,
            backups: backups.complete.map(RestorableBackup.init), jobs: jobs)
    }
}

private func newestStop(_ listing: BackupListing) -> Int64 {
    listing.complete.map(\.stopTime.microseconds).max() ?? .min
}

/// Nothing was ever archived for the cluster.
public struct NothingArchived: Explained, Equatable {
    public let cluster: String
    public let location: String
    public var message: String { "repository \"\(location)\" holds nothing of cluster \"\(cluster)\"" }
    public var hint: String? { "\"tidemark init\" starts archiving; is the right repository configured and mounted?" }
}

extension RestorableBackup {
    public init(_ backup: BackupDescription) {
        self.init(
            label: backup.label, timeline: backup.timeline, start: backup.startLSN, stop: backup.stopLSN,
            startTime: backup.startTime, stopTime: backup.stopTime, size: backup.size)
    }
}
