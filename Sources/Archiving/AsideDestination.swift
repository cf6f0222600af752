import DataDirectory
import Platform
import Repository
import WAL

extension Push {
    /// The place of a file whose timeline was put aside: beside the rest of it. A server that has left the timeline may
    /// archive WAL it received on it much later (`RemoveOldXlogFiles`, src/backend/access/transam/xlog.c); in its own
    /// place that file would belong to a timeline without a history. Nor does a server that is on the timeline archive
    /// the history again.
    ///
    /// - Returns: nil for a file of any other timeline, and where the server may be on another timeline of that number:
    ///   it archives that one's history first.
    /// - Throws: `ArchiveConflict` when the server has begun a timeline of that number by itself, beside the archived
    ///   one.
    func asideDestination(_ local: LocalFile, _ place: SegmentPlace) throws -> Destination? {
        let timeline = place.segment.timeline
        guard timeline > TimelineID(1) else { return nil }
        if try place.archive.has(.history(timeline)) {
            return try destination(besideAnotherHistory: local, place)
        }
        guard
            let (folder, isElsewhere) = try asideFolder(
                for: place.segment, segmentSize: place.page.segmentSize, beside: local, place.archive)
        else { return nil }
        return try destination(local, place, in: folder, isElsewhere: isElsewhere)
    }

    private func destination(
        _ local: LocalFile, _ place: SegmentPlace, in folder: AsideFolder, isElsewhere: Bool
    ) throws -> Destination {
        let (timeline, incarnation) = (place.segment.timeline, place.archive.incarnation)
        var digester = Digester()
        try local.forEachPiece { digester.update($0) }
        let digest = digester.finish()
        var copy = 1
        while true {
            let key = AsideStore.place(incarnation.key(for: place.file, copy: copy), incarnation, in: folder.key)
            func note(isThere: Bool) -> StoredAside {
                StoredAside(
                    file: place.file.description, timeline: timeline, key: key, isThere: isThere,
                    isElsewhere: isElsewhere)
            }
            do {
                let stored = try StoredSegment(key, in: store)
                if stored.head.digest == digest && stored.head.rawLength == UInt64(local.size) {
                    var decompressor = try Decompressor()
                    try stored.extract(with: &decompressor) { _ in }
                    try store.makeDurable(key)
                    warn(note(isThere: true))
                    return .confirmed
                }
            } catch is ObjectAbsent {
                return .create(key, note(isThere: false))
            } catch is ObjectDamaged {}
            copy += 1
        }
    }

    /// Two servers may have taken one number for timelines of their own. Whatever state the one at hand is in, and
    /// wherever its records would fit by chance: what it has of its own timeline does not belong to the archived one.
    ///
    /// - Returns: nil where the history beside the file is the archived one, or there is none.
    /// - Throws: `ArchiveConflict` when the server's timeline is neither the archived one nor one that was put aside.
    private func destination(besideAnotherHistory local: LocalFile, _ place: SegmentPlace) throws -> Destination? {
        let (timeline, archive) = (place.segment.timeline, place.archive)
        guard let own = try TimelineHistory(timeline, inWAL: Files.parent(local.path)),
            let archived = try archive.storedHistory(timeline), !archived.isSame(as: own)
        else { return nil }
        let subject = PutAside.Subject.timeline(timeline).name
        let folders = try archive.asideFolders().filter { $0.subject == subject }
        if let folder = try folders.first(where: { try archive.history(timeline, in: $0)?.isSame(as: own) == true }),
            try !LeftTimeline.isRunningPrimary(DataDirectory(Files.parent(Files.parent(local.path))), on: timeline)
        {
            return try destination(local, place, in: folder, isElsewhere: false)
        }
        let (key, file) = (archive.incarnation.history(timeline), ArchiveFileName.history(timeline).description)
        let history = try LocalFile("\(Files.parent(local.path))/\(file)")
        let stored = try StoredSegment(key, in: store)
        throw ArchiveConflict(
            file: file, location: store.location, firstDifference: try offsetOfFirstDifference(stored, history),
            position: nil, isWithinRecords: nil, archived: stored.head.digest,
            offered: Digest(of: try history.bytes(limit: 1 << 20)))
    }

    /// The folder below `aside/` that a file of a timeline that was put aside belongs into, and whether the server is
    /// on a timeline that doesn't come from that one; nil where the file belongs into its own place.
    ///
    /// - Parameters:
    ///   - segment: the file's, or the one it belongs to.
    ///   - segmentSize: nil reads it from the server's data directory.
    func asideFolder(
        for segment: SegmentName, segmentSize: UInt32? = nil, beside local: LocalFile, _ archive: ClusterArchive
    ) throws -> (folder: AsideFolder, isElsewhere: Bool)? {
        let timeline = segment.timeline
        guard timeline > TimelineID(1), try !archive.has(.history(timeline)) else { return nil }
        let subject = PutAside.Subject.timeline(timeline).name
        let folders = try archive.asideFolders().filter { $0.subject == subject }
        guard let newest = folders.first else { return nil }
        let server = DataDirectory(Files.parent(Files.parent(local.path)))
        let isElsewhere =
            if let size = try segmentSize ?? server.controlFileIfPresent()?.segmentSize {
                try LeftTimeline.isElsewhere(segment, segmentSize: size, beside: local, archive)
            } else {
                false
            }
        if isElsewhere { return (newest, true) }
        return try folders.first { try isOn(timeline, in: $0, beside: local, archive) }.map { ($0, false) }
    }

    /// The place of the history itself. In its own place, every recovery to the latest timeline would follow it again,
    /// without the segments that were put aside. A server on the timeline may bring it back, and another timeline of
    /// that number is not affected.
    ///
    /// - Returns: nil where it belongs into its own place.
    func asideDestination(
        _ local: LocalFile, _ bytes: [UInt8], _ timeline: TimelineID, _ incarnation: Incarnation
    ) throws -> Destination? {
        let subject = PutAside.Subject.timeline(timeline).name
        let archive = ClusterArchive(incarnation, in: store)
        let folders = try archive.asideFolders().filter { $0.subject == subject }
        guard !folders.isEmpty,
            try !LeftTimeline.isPrimary(DataDirectory(Files.parent(Files.parent(local.path))), on: timeline)
        else { return nil }
        let offered = try TimelineHistory(timeline: timeline, file: String(decoding: bytes, as: UTF8.self))
        for folder in folders where try archive.history(timeline, in: folder)?.isSame(as: offered) == true {
            let key = AsideStore.place(incarnation.history(timeline), incarnation, in: folder.key)
            try store.makeDurable(key)
            warn(StaysAside(timeline: timeline, key: key))
            return .confirmed
        }
        return nil
    }

    /// Whether the history of a timeline beside a file is the one that was put aside.
    private func isOn(
        _ timeline: TimelineID, in folder: AsideFolder, beside local: LocalFile, _ archive: ClusterArchive
    ) throws -> Bool {
        guard let own = try TimelineHistory(timeline, inWAL: Files.parent(local.path)) else { return false }
        return try archive.history(timeline, in: folder)?.isSame(as: own) == true
    }
}

/// A history was archived again after its timeline had been put aside.
struct StaysAside: Explained {
    let timeline: TimelineID
    let key: RepositoryKey
    var message: String { "\"\(timeline.fileNamePart).history\" stays aside with its timeline, as \"\(key)\"" }
    var hint: String? {
        "To bring the timeline back: \"\(runnable("tidemark segments put-back \(timeline.fileNamePart).history"))\"."
    }
}

/// A file was stored beside the rest of its timeline, which was put aside.
struct StoredAside: Explained {
    let file: String
    let timeline: TimelineID
    let key: RepositoryKey
    /// The same file was already there.
    let isThere: Bool
    /// The server is on a timeline that doesn't descend from this one.
    let isElsewhere: Bool
    var message: String {
        isThere ? "\"\(file)\" stays aside with its timeline, as \"\(key)\"" : "stored \"\(file)\" as \"\(key)\""
    }
    var detail: String? {
        "Timeline \(timeline) was put aside, and \(isElsewhere ? "is not" : "is") part of the server's history."
    }
    var hint: String? {
        isElsewhere
            ? nil
            : "If this server is the right one, bring the timeline back with "
                + "\"\(runnable("tidemark segments put-back \(timeline.fileNamePart).history"))\". If not, it should not archive into this cluster."
    }
}
