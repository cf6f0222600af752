import Planning
import Platform
import Repository
import WAL

// Reading the segments that the planner asks about. Their summaries are kept, and the records of the last few.

extension ArchivePlanSource {
    /// Cached: the planner reads the one segment around the target several times.
    func read(_ path: WALSegments, at index: Int) throws -> SegmentRecords {
        if let known = recent.first(where: { $0.name == path[index] }) { return known }
        var first = index
        var crossing: ReplayRecord?
        if let boundary = try boundary(of: path, at: index) {
            crossing = ReplayRecord(boundary)
            if crossing == nil {
                // The summaries don't hold so long a record: it is read from the segment in which it begins.
                repeat { first -= 1 } while try first > 0 && summary(of: path[first]).firstRecord == nil
            }
        }
        let records = try read(path, at: index, from: first, crossing: crossing)
        recent = recent.suffix(2) + [records]
        return records
    }

    /// - Parameters:
    ///   - first: the first segment to read for it.
    ///   - crossing: as for `SegmentRecords`.
    func read(
        _ path: WALSegments, at index: Int, from first: Int, crossing: ReplayRecord?
    ) throws -> SegmentRecords {
        try fetch(path[first...index])
        var records = SegmentRecords(
            path[index], segmentSize: segmentSize, from: path[first].start(segmentSize: segmentSize),
            crossing: crossing, end: summaries[path[index]].flatMap { $0.endsEarly ? $0.end : nil })
        try records.read(
            path[first...index].map { name in
                SegmentRecords.Piece(
                    name: name,
                    place: try local[name].map { .file($0.path, $0.contents) }
                        ?? .stored(archive.stored(file(name))))
            })
        return records
    }

    /// The record across the left boundary of `path[index]`, put together from the summaries.
    func boundary(of path: WALSegments, at index: Int) throws -> BoundaryRecord? {
        let summary = try summary(of: path[index])
        guard index > 0, summary.head != nil || mayEndEarly(path[index]) || summary.endsEarly else { return nil }
        var first = index - 1
        while try first > 0 && self.summary(of: path[first]).firstRecord == nil { first -= 1 }
        var continuity = Continuity()
        var found: BoundaryRecord?
        for place in first...index {
            try fetch([path[place]])
            switch try add(path[place], to: &continuity).join {
            case .open: found = nil
            case .joined(let record): found = record
            case .broken(let link): throw link
            }
        }
        return found
    }

    func mayEndEarly(_ name: SegmentName) -> Bool {
        local[name].map { $0.contents == .partial } ?? partialSegments.contains(name)
    }

    /// Adds a segment whose summary has been fetched; where a segment that may end early ends is known only then.
    func add(
        _ name: SegmentName, to continuity: inout Continuity
    ) throws -> (summary: SegmentSummary, join: Continuity.Join) {
        guard var summary = summaries[name] else { throw unreadable(name) }
        let join = continuity.add(trimming: &summary, mayEndEarly: mayEndEarly(name))
        summaries[name] = summary
        return (summary, join)
    }

    func unreadable(_ name: SegmentName) -> Problem {
        Problem(
            "segment \"\(name)\" was stored without a summary",
            detail: "It was written by a PostgreSQL version that tidemark could not read.")
    }

    func summary(of name: SegmentName) throws -> SegmentSummary {
        try fetch([name])
        guard let summary = summaries[name] else { throw unreadable(name) }
        return summary
    }

    /// Reads the summaries that aren't cached, several at once.
    func fetch(_ names: some Collection<SegmentName>) throws {
        let missing = names.filter { summaries[$0] == nil }
        guard !missing.isEmpty else { return }
        let archive = archive
        try mapInOrder(
            missing.map { ($0, file($0)) }, workers: missing.count < 4 ? 1 : jobs, ahead: 64,
            transform: { name, file -> (SegmentName, SegmentSummary?) in
                let stored = try archive.stored(file)
                return (name, try file.isPartial ? stored.summary(reading: name) : stored.summary())
            }, consume: { name, summary in summaries[name] = summary })
    }
}
