import Backups
import Repository
import WAL

/// Whether the WAL is there without which a backup can't be recovered at all: that from its start to its stop. Of a
/// timeline, the archive is listed once.
struct NeededWAL {
    private let archive: ClusterArchive
    private var archived: [TimelineID: Set<SegmentName>] = [:]

    init(of archive: ClusterArchive) { self.archive = archive }

    /// What is missing: the rest of a sentence; nil when nothing is.
    mutating func lack(of backup: BackupDescription) throws -> String? {
        for segment in try archive.neededSegments(of: backup) {
            guard try isArchived(segment) else { return "WAL segment \"\(segment)\", which it needs, is missing" }
        }
        return nil
    }

    private mutating func isArchived(_ segment: SegmentName) throws -> Bool {
        let present = try archived[segment.timeline] ?? Set(archive.segments(timeline: segment.timeline))
        archived[segment.timeline] = present
        return present.contains(segment)
    }
}
