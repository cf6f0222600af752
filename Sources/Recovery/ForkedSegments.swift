import Glibc
public import Planning
import Platform
import Repository
public import WAL

/// A segment in which the recovery leaves a timeline, as the parent's file that PostgreSQL may look for.
///
/// A transaction that was prepared in this segment, before the timelines part, and is pending there, is read again when the
/// new timeline's first record is a shutdown checkpoint, which is what a recovery that ends without a promotion writes
/// (`PerformRecoveryXLogAction`, src/backend/access/transam/xlog.c): `xlog_redo` calls `PrescanPreparedTransactions` while
/// the last replayed record is still the parent's. So `XLogReadDetermineTimeline` (xlogutils.c) names the parent's file,
/// while recovery has fetched the child's (`XLogFileReadAnyTLI`). Nobody is asked for that file; it must be in pg_wal.
public struct ForkedSegment: Hashable, Sendable {
    /// The file PostgreSQL looks for.
    public let parent: SegmentName
    /// The file recovery reads, which starts with the parent's bytes (`XLogInitNewTimeline` copies them).
    public let child: SegmentName
    /// The parent's bytes end here.
    public let end: LSN
}

extension Plan {
    /// Of the segments recovery reads those in which it leaves timelines, oldest first.
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
    /// Makes the parent's file in `folder`, a pg_wal, as far as the parent's history goes: zeros follow. It is marked as
    /// archived, for the archive has the parent's own.
    ///
    /// - Parameters:
    ///   - isPartial: the child's file is in the repository as `.partial` only.
    ///   - isCopy: the folder isn't the cluster's own.
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
