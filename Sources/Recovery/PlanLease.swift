import Backups
public import Planning
public import Platform
public import Repository
public import WAL

/// A lock on what a plan reads: until it is released, or its process ends, `expire` keeps the plan's backup and all WAL
/// since that backup began.
public final class PlanLease: Sendable {
    private let backup: BackupLease

    /// - Throws: `NoSuchBackup`, `PlanOutdated`.
    public init(_ plan: Plan, of archive: ClusterArchive) throws {
        backup = try BackupLease(plan.backup.label, of: archive)
        // What was removed between the planning and now is gone.
        let partials = Set(plan.partials)
        var listed: (folder: RepositoryKey, names: Set<String>)?
        for name in plan.segmentNames where !partials.contains(name) {
            let key = archive.key(for: .segment(name))
            if listed?.folder != key.folder {
                // An object's name begins with its segment's, so it is listed after that name.
                let entries = try archive.store.list(key.folder, after: name.description)
                listed = (key.folder, Set(entries.filter { $0.size != nil }.map(\.name)))
            }
            if listed?.names.contains(key.name) != true { throw PlanOutdated(segment: name) }
        }
    }
}

/// An object that the plan needs has been removed since it was made.
public struct PlanOutdated: Explained, Equatable {
    public let segment: SegmentName
    public var message: String { "the plan can no longer be carried out: segment \"\(segment)\" has been removed" }
    public var detail: String? { "It was in the repository when the plan was made. Nothing has been touched." }
    public var hint: String? { "Run the command again for a plan from what is there now." }
}
