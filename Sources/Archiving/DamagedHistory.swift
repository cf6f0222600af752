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
            try takeAside(key, timeline, damage.detail ?? damage.message)
        } catch let damage as BadTimelineHistory {
            try takeAside(key, timeline, damage.message)
        }
        throw ObjectAbsent(key: key, location: store.location)
    }

    /// Not as `put-aside` does it: the timeline goes on, and nothing of it may look put aside.
    private func takeAside(_ key: RepositoryKey, _ timeline: TimelineID, _ reason: String) throws {
        let incarnation = try identity.incarnation()
        let name = ArchiveFileName.history(timeline).description
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
        warn(DamagedHistoryReplaced(file: name, reason: reason, key: place))
    }
}

/// A damaged history was taken out of the way of the same one that a server has.
struct DamagedHistoryReplaced: Explained {
    let file: String
    let reason: String
    let key: RepositoryKey
    var message: String { "\"\(file)\" was damaged in the repository, and is stored again" }
    var detail: String? { reason }
    var hint: String? { "Check the repository's storage. The damaged object is now \"\(key)\"." }
}
