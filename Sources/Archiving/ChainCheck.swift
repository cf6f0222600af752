import Platform
import Repository
import WAL

/// Checks segment after segment that each goes on where the one before it ended, over timelines too.
struct ChainCheck {
    private let store: any ObjectStore
    private let incarnation: Incarnation
    private let histories: [TimelineID: TimelineHistory]
    private var continuity = Continuity()
    /// The segment that was added last.
    private var last: SegmentName?
    private var size: UInt32?

    init(_ incarnation: Incarnation, in store: any ObjectStore) throws {
        (self.incarnation, self.store) = (incarnation, store)
        var found: [TimelineID: TimelineHistory] = [:]
        for timeline in try store.histories(of: incarnation) {
            do {
                guard let text = try store.history(timeline, of: incarnation) else { continue }
                found[timeline] = try TimelineHistory(timeline: timeline, file: String(decoding: text, as: UTF8.self))
            } catch is ObjectDamaged {
                // Whoever checks the histories themselves reports it.
                continue
            } catch is BadTimelineHistory { continue }
        }
        histories = found
    }

    /// Adds the next segment in the order of timelines and names; nil for one that can't be read.
    mutating func add(_ name: SegmentName, _ summary: SegmentSummary?) throws -> [ArchiveProblem] {
        var problems: [ArchiveProblem] = []
        if let size = summary?.segmentSize ?? size {
            self.size = size
            if last != name.previous(segmentSize: size) {
                problems += gap(before: name, size)
                if let parent = try resume(before: name, size) {
                    problems.append(
                        ArchiveProblem(
                            "WAL segment \"\(parent)\" is missing",
                            detail: "Timeline \(name.timeline) goes on from it.", segment: parent))
                }
            }
        }
        last = name
        guard let summary else {
            continuity = Continuity()
            return problems
        }
        if case .broken(let link) = continuity.add(summary) {
            problems.append(
                ArchiveProblem(
                    "WAL segment \"\(name)\" does not follow the segment before it", detail: link.detail,
                    hint: "From backups before it, nothing behind it can be reached.", segment: name))
        }
        return problems
    }

    private func gap(before name: SegmentName, _ size: UInt32) -> [ArchiveProblem] {
        guard let last else { return [] }
        var first = last.next(segmentSize: size)
        if last.timeline != name.timeline {
            // The first segment of a timeline holds the place where its parent was left.
            guard let begin = histories[name.timeline]?.ancestors.last?.switchPoint else { return [] }
            first = SegmentName(timeline: name.timeline, containing: begin, segmentSize: size)
        }
        guard let end = name.previous(segmentSize: size), first <= end else { return [] }
        let what =
            first == end ? "WAL segment \"\(first)\" is missing" : "WAL segments \"\(first)\" to \"\(end)\" are missing"
        return [
            ArchiveProblem(
                what, detail: "Between a backup before them and what is behind them there is no way.", segment: first)
        ]
    }

    /// Takes up the thread at the predecessor of a segment, if the repository has it: at its neighbour, or at that of the
    /// timeline's parent.
    /// - Returns: the parent's last segment when only that one is missing.
    private mutating func resume(before name: SegmentName, _ size: UInt32) throws -> SegmentName? {
        continuity = Continuity()
        var summaries: [SegmentSummary] = []
        var next = try predecessor(of: name, size)
        // A record may have begun several segments before.
        while let (name, summary) = next {
            summaries.append(summary)
            if summary.firstRecord != nil { break }
            next = try predecessor(of: name, size)
        }
        for summary in summaries.reversed() { _ = continuity.add(summary) }
        guard summaries.isEmpty, last != nil, let history = histories[name.timeline],
            let begin = history.ancestors.last?.switchPoint, begin >= name.start(segmentSize: size)
        else { return nil }
        let parent = history.segment(
            containing: LSN(name.start(segmentSize: size).rawValue - 1), segmentSize: size)
        return try store.exists(incarnation.segment(parent)) ? nil : parent
    }

    private func predecessor(of name: SegmentName, _ size: UInt32) throws -> (SegmentName, SegmentSummary)? {
        guard let same = name.previous(segmentSize: size) else { return nil }
        var candidates = [same]
        if let history = histories[name.timeline] {
            candidates.append(
                history.segment(
                    containing: LSN(name.start(segmentSize: size).rawValue - 1), segmentSize: size))
        }
        for candidate in candidates {
            do {
                if let summary = try store.stored(candidate, of: incarnation).summary() { return (candidate, summary) }
            } catch is ObjectAbsent {
                continue
            } catch is ObjectDamaged {
                return nil
            } catch is BadSummary { return nil }
        }
        return nil
    }
}
