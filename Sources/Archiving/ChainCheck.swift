import Platform
import Repository
import WAL

/// Checks segment after segment that each continues the one before it, across timelines too.
struct ChainCheck {
    private let archive: ClusterArchive
    private let genealogy: Genealogy
    private var continuity = Continuity()
    /// The segment that was added last.
    private var last: SegmentName?

    init(_ archive: ClusterArchive, _ genealogy: Genealogy) {
        (self.archive, self.genealogy) = (archive, genealogy)
    }

    /// Adds the next segment in the order of timelines and names; nil for one that can't be read.
    mutating func add(_ name: SegmentName, _ summary: SegmentSummary?) throws -> [ArchiveProblem] {
        if last == nil || last != genealogy.predecessor(of: name) { try resume(before: name) }
        last = name
        guard let summary else {
            continuity = Continuity()
            return []
        }
        guard case .broken(let link) = continuity.add(summary) else { return [] }
        return [
            ArchiveProblem(
                "WAL segment \"\(name)\" does not follow the segment before it", detail: link.detail,
                hint: "Backups taken before it cannot be recovered past it.", segment: name)
        ]
    }

    /// Starts again from the predecessor of a segment, if the repository has it.
    private mutating func resume(before name: SegmentName) throws {
        continuity = Continuity()
        var summaries: [SegmentSummary] = []
        var next = try predecessor(of: name)
        // The record may have begun several segments earlier.
        while let (name, summary) = next {
            summaries.append(summary)
            if summary.firstRecord != nil { break }
            next = try predecessor(of: name)
        }
        for summary in summaries.reversed() { _ = continuity.add(summary) }
    }

    private func predecessor(of name: SegmentName) throws -> (SegmentName, SegmentSummary)? {
        guard let previous = genealogy.predecessor(of: name) else { return nil }
        return try archive.readableSummary(of: previous).map { (previous, $0) }
    }
}
