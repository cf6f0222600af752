import Platform
import Repository
import WAL

extension Push {
    /// Why an object isn't what was archived; nil when it can be read from beginning to end. An intact head is no
    /// proof, and the server may recycle its own file as soon as it is acknowledged.
    func damage(of object: any StoredObject, _ name: ArchiveFileName) throws -> String? {
        do {
            let stored = try StoredSegment(object)
            guard case .history(let timeline) = name else {
                var decompressor = try Decompressor()
                try stored.extract(with: &decompressor) { _ in }
                return nil
            }
            _ = try TimelineHistory(
                timeline: timeline, file: String(decoding: stored.bytes(limit: 1 << 20), as: UTF8.self))
            return nil
        } catch let damage as ObjectDamaged {
            return damage.reason
        } catch let damage as BadTimelineHistory {
            return damage.message
        }
    }

    /// Stores a file in place of its damaged object, which is kept below `aside/`, but not as by `put-aside`: the
    /// timeline stays in use, and nothing of it may look put aside.
    ///
    /// - Throws: `ObjectExists` when the damaged object is gone; and what `store` throws.
    func replaceDamaged(
        _ key: RepositoryKey, _ file: ArchiveFileName, _ incarnation: Incarnation, store: (Replacement) throws -> Void
    ) throws {
        let now = Moment(microseconds: Clock.now)
        let folder = incarnation.asideFolder.appending(AsideFolder.name(now, "damaged-\(file.description)"))
        let (place, record) = (folder.appending(key.name), folder.appending("record.json"))
        var reason: String?
        var isRecorded = false
        do {
            try store(
                Replacement(keeping: place) { object in
                    guard let found = try damage(of: object, file) else { return false }
                    try self.store.create(
                        record,
                        AsideRecord(
                            file.description, reason: "It was damaged, and archived again. " + found, time: now.iso8601,
                            objects: []
                        ).document)
                    (reason, isRecorded) = (found, true)
                    return true
                })
        } catch {
            if isRecorded, (try? self.store.exists(place)) == false { try? self.store.remove(record) }
            self.store.removal().removeIfEmpty(folder)
            // Another process has put it aside meanwhile.
            if error is ObjectAbsent { throw ObjectExists(key: key, location: self.store.location) }
            throw error
        }
        warn(DamagedObjectReplaced(file: file.description, reason: reason, key: place))
    }

}

/// A damaged object was replaced by the same file from a server.
struct DamagedObjectReplaced: Explained {
    let file: String
    let reason: String?
    let key: RepositoryKey
    var message: String { "\"\(file)\" was damaged in the repository, and is stored again" }
    var detail: String? { reason }
    var hint: String? { "Check the repository's storage. The damaged object is now \"\(key)\"." }
}

/// A file that a server archives differs from what can be read of the damaged object under its name.
struct DamagedCopyDiffers: Explained {
    let file: String
    let damage: ObjectDamaged
    /// What differs, as a sentence.
    let difference: String
    var message: String { "\"\(file)\" is damaged in the repository, and the offered file is not known to be the same" }
    var detail: String? { "\(damage.reason) \(difference)" }
    var hint: String? {
        "Nothing was overwritten. If this server is the one that should archive here, take the damaged object out of the "
            + "way with \"\(runnable("tidemark segments put-aside \(file)"))\"."
    }
}

/// A `.partial` was stored beside one that can't be read.
struct BesideDamaged: Explained {
    let file: String
    let key: RepositoryKey
    let damage: ObjectDamaged
    var message: String { "stored \"\(file)\" as \"\(key.name)\", next to one that is damaged" }
    var detail: String? { damage.reason }
    var hint: String? { damage.hint }
}
