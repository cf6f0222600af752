import Platform
import Repository
import WAL

extension Push {
    /// For a file of a timeline that was put aside: beside the rest of it. A server that has left the timeline may hand over
    /// what it received of that much later (`RemoveOldXlogFiles`, src/backend/access/transam/xlog.c); in its own place it
    /// would tell of a timeline whose history is gone.
    ///
    /// - Returns: nil for a file of any other timeline, and where the server is on the timeline or may come to be: it
    ///   archives the history first then.
    func asideDestination(_ local: LocalFile, _ place: SegmentPlace) throws -> Destination? {
        let timeline = place.segment.timeline
        guard timeline > TimelineID(1), try !store.exists(place.incarnation.history(timeline)) else { return nil }
        let subject = PutAside.Subject.timeline(timeline).name
        guard
            let folder = try store.asideFolders(of: place.incarnation).first(where: { $0.subject == subject }),
            try LeftTimeline.isElsewhere(
                place.segment, segmentSize: place.page.segmentSize, beside: local, place.incarnation, in: store)
        else { return nil }
        var digester = Digester()
        try local.forEachPiece { digester.update($0) }
        let digest = digester.finish()
        var copy = 1
        while true {
            let key = AsideStore.place(
                place.incarnation.key(for: place.file, copy: copy), place.incarnation, in: folder.key)
            do {
                let head = try StoredSegment(key, in: store).head
                if head.digest == digest && head.rawLength == UInt64(local.size) {
                    try store.makeDurable(key)
                    return .confirmed
                }
            } catch is ObjectAbsent {
                return .create(key, StoredAside(file: place.file.description, timeline: timeline, key: key))
            } catch is ObjectDamaged {}
            copy += 1
        }
    }
}

/// A file was stored beside the rest of its timeline, which was put aside.
struct StoredAside: Explained {
    let file: String
    let timeline: TimelineID
    let key: RepositoryKey
    var message: String { "stored \"\(file)\" as \"\(key)\"" }
    var detail: String? { "Timeline \(timeline) was put aside, and the server is not on it." }
}
