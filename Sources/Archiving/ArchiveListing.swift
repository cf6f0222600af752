import Repository
import WAL

/// The names of an archive's segments, and its histories.
struct ArchiveListing {
    let names: [SegmentName]
    /// In bytes; PostgreSQL's default as long as no segment can be read.
    let segmentSize: UInt32
    /// Of the histories that can be read; whoever checks the histories themselves reports the others.
    let genealogy: Genealogy

    init(of incarnation: Incarnation, in store: any ObjectStore) throws {
        var names: [SegmentName] = []
        for timeline in try store.timelines(of: incarnation) {
            names += try store.segments(of: incarnation, timeline: timeline)
        }
        self.names = names
        segmentSize = names.lazy.compactMap { ArchiveListing.size(of: $0, incarnation, store) }.first ?? 16 << 20
        var histories: [TimelineID: TimelineHistory] = [:]
        for timeline in try store.histories(of: incarnation) {
            do {
                guard let text = try store.history(timeline, of: incarnation) else { continue }
                histories[timeline] = try TimelineHistory(
                    timeline: timeline, file: String(decoding: text, as: UTF8.self))
            } catch is ObjectDamaged {
                continue
            } catch is BadTimelineHistory { continue }
        }
        genealogy = Genealogy(histories, segmentSize: segmentSize)
    }

    private static func size(
        of name: SegmentName, _ incarnation: Incarnation, _ store: any ObjectStore
    ) -> UInt32? {
        guard let head = try? store.stored(name, of: incarnation).head,
            let size = UInt32(exactly: head.rawLength), size >= 1 << 20, size & (size - 1) == 0
        else { return nil }
        return size
    }

    /// - Parameter expired: what is not there on purpose; asked only when something isn't there.
    func gaps(expired: (_ segmentSize: UInt32) throws -> SegmentSet = { SegmentSet(segmentSize: $0) }) throws
        -> [LineageGap]
    {
        let segments = SegmentSet(names, segmentSize: segmentSize)
        let gaps = ArchivedLog(segments, genealogy).gaps()
        return gaps.isEmpty ? [] : ArchivedLog(segments, genealogy, expired: try expired(segmentSize)).gaps()
    }
}

extension ArchiveProblem {
    init(_ gap: LineageGap) {
        self.init(
            "WAL \(gap.sentence)", detail: "From backups before the gap nothing after it can be reached.",
            segment: gap.first)
    }
}
