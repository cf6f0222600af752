public import Platform
import Repository
public import WAL

/// A segment does not continue the archived segment before it.
public struct Discontinuity: Explained, Equatable {
    public let segment: SegmentName
    public let predecessor: SegmentName
    public let link: BrokenLink

    public var message: String {
        "segment \"\(segment)\" does not continue the archived segment \"\(predecessor)\""
    }
    public var detail: String? { link.detail }
    public var hint: String? {
        "Either this server or the one that archived \"\(predecessor)\" is not the one that should archive here, or WAL "
            + "was lost in a crash. If you are sure that this segment is right, store it by hand with "
            + "\"\(runnable("tidemark archive-push --accept-discontinuity PATH"))\" and take a new base backup."
    }
}

/// Looks for the segment before one that is being pushed, among those the repository has.
struct Predecessor {
    let archive: ClusterArchive
    /// The segments that are being pushed at the same time.
    var batch: PushBatch?
    /// The pg_wal directory in which the server may have segments it hasn't archived.
    var directory: String?

    /// Throws `Discontinuity` when the predecessor is known and contradicts the segment, and `WALMissing`. Any other
    /// error leaves the link to it unchecked: a push never fails for that.
    /// - Returns: why the predecessor could not be read, if it is there.
    func check(_ summary: SegmentSummary, of name: SegmentName) throws -> (any Error)? {
        do {
            guard let (previous, its) = try find(before: name, summary) else { return nil }
            if case .broken(let link) = Continuity.join(its, summary) {
                // The server wrote the predecessor after it had left the timeline; a longer copy may still come.
                if case .endsEarly = link.reason { return nil }
                throw Discontinuity(segment: name, predecessor: previous, link: link)
            }
            return nil
        } catch {
            switch error {
            case is Discontinuity, is WALMissing: throw error
            default: return error
            }
        }
    }

    /// Removes from the summary of a file that may end early the records that don't continue the WAL before them: they
    /// are left from the file's earlier use. Where the WAL before isn't known, the summary stays as it is.
    /// - Returns: why the WAL before it could not be read, if it is there.
    @discardableResult
    func trim(_ summary: inout SegmentSummary, of name: SegmentName) -> (any Error)? {
        guard summary.ending != .full else { return nil }
        var before: [SegmentSummary] = []
        var next = (name, summary)
        var obstacle: (any Error)?
        do {
            // The record may have begun several segments earlier.
            while let found = try find(before: next.0, next.1) {
                before.append(found.1)
                if found.1.firstRecord != nil { break }
                next = found
            }
        } catch { obstacle = error }
        var continuity = Continuity()
        for segment in before.reversed() { _ = continuity.add(segment) }
        _ = continuity.add(trimming: &summary, mayEndEarly: true)
        return obstacle
    }

    /// Looks among what is archived or being archived, then in the server's pg_wal. Throws `WALMissing`.
    private func find(before name: SegmentName, _ summary: SegmentSummary) throws -> (SegmentName, SegmentSummary)? {
        if let found = try find(before: name, summary, in: archived) { return found }
        try archive.requireWAL()
        guard let directory else { return nil }
        return try find(before: name, summary) {
            try? SegmentComparison.scan(LocalFile("\(directory)/\($0)"), $0)?.summary
        }
    }

    private func find(
        before name: SegmentName, _ summary: SegmentSummary, in source: (SegmentName) throws -> SegmentSummary?
    ) throws -> (SegmentName, SegmentSummary)? {
        guard let same = name.previous(segmentSize: summary.segmentSize) else { return nil }
        if summary.firstTimeline == name.timeline, let found = try source(same) { return (same, found) }
        // The first segment of a timeline begins with pages of its ancestor and continues one of the ancestor's
        // segments.
        guard name.timeline > TimelineID(1) else { return nil }
        let genealogy = try Genealogy(
            histories(of: [name.timeline, summary.firstTimeline]), segmentSize: summary.segmentSize)
        guard let previous = genealogy.predecessor(of: name, firstTimeline: summary.firstTimeline), previous != same,
            let found = try source(previous)
        else { return nil }
        return (previous, found)
    }

    private func histories(of timelines: Set<TimelineID>) throws -> [TimelineID: TimelineHistory] {
        var found: [TimelineID: TimelineHistory] = [:]
        for timeline in timelines where timeline > TimelineID(1) {
            found[timeline] = try archive.timelineHistory(timeline)
        }
        return found
    }

    private func archived(_ name: SegmentName) throws -> SegmentSummary? {
        if let found = batch?.summary(of: name) { return found }
        do { return try archive.summary(of: name) } catch is ObjectAbsent { return nil }
    }
}
