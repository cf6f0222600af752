public import Backups
import Expiring
import Jobs
public import Repository
public import Retention
public import WAL

/// The WAL that is missing on purpose: what `expire` has removed, and what it would remove by the rules of
/// `[retention]`, since an interrupted expiry left no record.
///
/// - Parameter dataDirectory: the cluster's own; what leads to the timeline it is on is wanted.
public func expiredSegments(
    of archive: ClusterArchive, listing: BackupListing, policy: RetentionPolicy, dataDirectory: String?,
    now: Moment, segmentSize: UInt32
) throws -> SegmentSet {
    var set = ExpiredWAL(try JobJournal(of: archive).contents().jobs).segments(segmentSize: segmentSize)
    // When the rules can't be applied, all WAL counts as wanted.
    let decision = try? retentionDecision(
        of: archive, listing: listing, policy: policy,
        own: dataDirectory.flatMap { try OwnTimeline(in: $0, of: archive.incarnation) }, now: now)
    if let decision {
        set = set.union(decision.unwanted(on: try archive.timelines(), segmentSize: segmentSize))
    }
    return set
}
