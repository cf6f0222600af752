public import Repository
public import WAL

extension ClusterArchive {
    /// The WAL segments without which a backup isn't consistent, in order: those from its start to its stop. Where the
    /// file that completed the backup isn't there, another timeline's file that has the end of the backup's WAL as well
    /// takes its place.
    public func neededSegments(of backup: BackupDescription) throws -> some Sequence<SegmentName> {
        let size = backup.segmentSize
        let last = try lastSegment(of: backup)
        let end = last.number(segmentSize: size)
        return stride(from: backup.startSegment.number(segmentSize: size), through: end, by: 1).lazy.map { number in
            number == end ? last : SegmentName(timeline: backup.timeline, number: number, segmentSize: size)
        }
    }

    private func lastSegment(of backup: BackupDescription) throws -> SegmentName {
        guard try !has(.segment(backup.stopSegment)), let wal = backup.wal else { return backup.stopSegment }
        let genealogy = Genealogy(try readableHistories(), segmentSize: backup.segmentSize)
        return try genealogy.lastFiles(of: wal).first { try has(.segment($0)) } ?? backup.stopSegment
    }
}
