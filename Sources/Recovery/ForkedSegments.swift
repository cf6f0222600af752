import Glibc
public import Planning
import Platform
import Repository
public import WAL

/// A segment in which the recovery leaves a timeline, as the parent's file that PostgreSQL may look for.
///
/// A transaction that was prepared in this segment before the fork, and is still pending there, is read again when the
/// new timeline's first record is a shutdown checkpoint, which a recovery writes that ends without a promotion
/// (`PerformRecoveryXLogAction`, src/backend/access/transam/xlog.c): `xlog_redo` calls `PrescanPreparedTransactions`
/// while the last replayed record is still the parent's. So `XLogReadDetermineTimeline` (xlogutils.c) names the
/// parent's file, while recovery has fetched the child's (`XLogFileReadAnyTLI`). No restore_command is run for that
/// file; it must be in pg_wal.
public struct ForkedSegment: Hashable, Sendable {
    /// The file PostgreSQL looks for.
    public let parent: SegmentName
    /// The file recovery reads, which starts with the parent's bytes (`XLogInitNewTimeline` copies them).
    public let child: SegmentName
    /// The parent's bytes end here.
    public let end: LSN
}

extension Plan {
    /// The segments in which the recovery leaves a timeline, oldest first.
    public var forkedSegments: [ForkedSegment] {
        path.steps.compactMap { step in
            guard let end = step.end, end.rawValue % UInt64(segmentSize) != 0 else { return nil }
            let parent = SegmentName(timeline: step.timeline, containing: end, segmentSize: segmentSize)
            let number = parent.number(segmentSize: segmentSize)
            guard
                let range = segments.first(where: { range in
                    let first = range.first.number(segmentSize: segmentSize)
                    return first <= number && number < first + UInt64(range.count)
                }), range.first.timeline != step.timeline
            else { return nil }
            let child = SegmentName(timeline: range.first.timeline, number: number, segmentSize: segmentSize)
            return ForkedSegment(parent: parent, child: child, end: end)
        }
    }
}

extension ForkedSegment {
    /// Creates the parent's file in `folder`, a pg_wal, up to the end of the parent's history; zeros follow. It is
    /// marked as archived, since the archive has the parent's own.
    ///
    /// - Parameters:
    ///   - isPartial: whether the repository has only a `.partial` of the child's file.
    ///   - isCopy: whether the folder isn't the cluster's own.
    /// - Throws: what reading the repository and writing throw.
    func place(in folder: String, isPartial: Bool, isCopy: Bool, of archive: ClusterArchive)
        throws
    {
        let stored = try archive.stored(isPartial ? .partial(child) : .segment(child))
        let path = "\(folder)/\(parent)"
        let length = UInt64(stored.head.rawLength)
        var left = end.rawValue % length
        let end = Int(left)
        try Files.removeIfPresent(path)
        try createDurably(path, mode: 0o600) { file, temporary in
            let patches = try stored.extract(as: child, of: archive, isCopy: isCopy) { bytes in
                let own = min(UInt64(bytes.count), left)
                guard own > 0 else { return }
                try file.write(UnsafeRawBufferPointer(rebasing: bytes[..<Int(own)]), path: temporary)
                left -= own
            }
            for patch in patches where patch.offset < end {
                try patch.bytes.withUnsafeBytes { try file.write($0, at: Int64(patch.offset), path: temporary) }
            }
            try file.truncate(to: Int64(length), path: temporary)
        }
        let status = folder + "/archive_status"
        try Files.makeDirectories(status, mode: 0o700)
        try replaceDurably("\(status)/\(parent).done", bytes: [], mode: 0o600)
    }
}
