public import Platform
public import Repository

/// The base backups of one incarnation.
public struct BackupListing: Sendable {
    /// In order of their start position, then of their start time.
    public var complete: [BackupDescription]
    /// Labels without `backup.json`: still running, or died.
    public var incomplete: [String]
    /// Complete ones that can't be understood, with the reason.
    public var unreadable: [Unreadable]

    public struct Unreadable: Sendable {
        public let label: String
        public let reason: any Explained
    }

    public init(complete: [BackupDescription], incomplete: [String], unreadable: [Unreadable]) {
        (self.complete, self.incomplete, self.unreadable) = (complete, incomplete, unreadable)
    }

    public func backup(_ label: String) -> BackupDescription? { complete.first { $0.label == label } }
}

/// Reads every `backup.json` of an incarnation; touches neither manifests nor packs.
public func listBackups(of incarnation: Incarnation, in store: any ObjectStore) throws -> BackupListing {
    var listing = BackupListing(complete: [], incomplete: [], unreadable: [])
    for label in try store.backups(of: incarnation) {
        guard let bytes = try store.readIfPresent(incarnation.backup(label, "backup.json")) else {
            listing.incomplete.append(label)
            continue
        }
        do throws(DamagedDescription) {
            listing.complete.append(try BackupDescription(json: bytes, label: label))
        } catch {
            listing.unreadable.append(.init(label: label, reason: error))
        }
    }
    // A backup that died before its manifest has packs only; and so has one that expired while others need its packs.
    let known = Set(
        listing.complete.flatMap { [$0.label] + $0.packLabels } + listing.incomplete + listing.unreadable.map(\.label))
    listing.incomplete += try store.list(incarnation.packFolder).filter(\.isFolder).map(\.name)
        .filter { !known.contains($0) }
    listing.complete.sort { ($0.startLSN, $0.startTime) < ($1.startLSN, $1.startTime) }
    return listing
}

/// One complete backup.
/// - Throws: `NoSuchBackup`, `DamagedDescription`, and what the store throws.
public func showBackup(_ label: String, of incarnation: Incarnation, in store: any ObjectStore) throws
    -> BackupDescription
{
    guard RepositoryKey.isPart(label),
        let bytes = try store.readIfPresent(incarnation.backup(label, "backup.json"))
    else { throw NoSuchBackup(label: label, cluster: incarnation.cluster) }
    return try BackupDescription(json: bytes, label: label)
}

public struct NoSuchBackup: Explained, Equatable {
    public let label: String
    public let cluster: String
    public var message: String { "cluster \"\(cluster)\" has no complete backup \"\(label)\"" }
    public var hint: String? { "\"tidemark list\" shows the backups." }
}
