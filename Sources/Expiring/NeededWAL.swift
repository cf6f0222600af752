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
        let timeline = backup.startSegment.timeline
        let present = try archived[timeline] ?? Set(archive.segments(timeline: timeline))
        archived[timeline] = present
        var segment = backup.startSegment
        while segment <= backup.stopSegment {
            guard present.contains(segment) else { return "WAL segment \"\(segment)\", which it needs, is missing" }
            segment = segment.next(segmentSize: backup.segmentSize)
        }
        return nil
    }
}
