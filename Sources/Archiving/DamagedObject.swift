import Platform
import Repository
import WAL

extension Push {
    /// The stored text. A history that can't be read any more is taken out of the way first: as long as it is there no
    /// recovery gets past it, and here is a server that has it whole.
    /// - Throws: `ObjectAbsent` when there is none, or none any more.
    func readableText(_ key: RepositoryKey, _ name: ArchiveFileName) throws -> StoredSegment {
        guard case .history(let timeline) = name else { return try StoredSegment(key, in: store) }
        do {
            let stored = try StoredSegment(key, in: store)
            _ = try TimelineHistory(
                timeline: timeline, file: String(decoding: stored.bytes(limit: 1 << 20), as: UTF8.self))
            return stored
        } catch let damage as ObjectDamaged {
            try takeAside(key, name, damage.detail ?? damage.message)
        } catch let damage as BadTimelineHistory {
            try takeAside(key, name, damage.message)
        }
        throw ObjectAbsent(key: key, location: store.location)
    }

    /// Reads a copy that has the same digest in its head from its beginning to its end: the server that hands the file over
    /// again may recycle its own as soon as it is acknowledged. A damaged one stays where it is until somebody puts it aside:
    /// without it `archive-get` would take the segment for absent, and a recovery would end there.
    /// - Throws: `ObjectDamaged`.
    func requireIntact(_ copy: StoredSegment) throws {
        var decompressor = try Decompressor()
        try copy.extract(with: &decompressor) { _ in }
    }

    /// Not as `put-aside` does it: the timeline goes on, and nothing of it may look put aside.
    private func takeAside(_ key: RepositoryKey, _ file: ArchiveFileName, _ reason: String) throws {
        let incarnation = try identity.incarnation()
        let name = file.description
        let now = Moment(microseconds: Clock.now)
        let fraction = String(1_000_000 + now.civil.microsecond).dropFirst()
        let folder = incarnation.asideFolder.appending("\(now.compact.dropLast()).\(fraction)Z-damaged-\(name)")
        let record = """
            {
              "what" : \(quotedForJSON(name)),
              "why" : \(quotedForJSON("It was damaged, and archived again. " + reason)),
              "at" : \(quotedForJSON(now.iso8601)),
              "objects" : []
            }

            """
        try store.create(folder.appending("record.json"), bytes: Array(record.utf8))
        let place = folder.appending(key.name)
        // Another server may hand it over at the same moment.
        do { try store.move(key, to: place) } catch is ObjectAbsent { return }
        warn(DamagedObjectReplaced(file: name, reason: reason, key: place))
    }
}

/// A damaged object was taken out of the way of the same file that a server has.
struct DamagedObjectReplaced: Explained {
    let file: String
    let reason: String
    let key: RepositoryKey
    var message: String { "\"\(file)\" was damaged in the repository, and is stored again" }
    var detail: String? { reason }
    var hint: String? { "Check the repository's storage. The damaged object is now \"\(key)\"." }
}
