public import WAL

/// What one call of `put-aside` moved: a folder below `aside/`.
public struct AsideFolder: Hashable, Sendable {
    public let key: RepositoryKey
    /// As it was named, and as `put-back` is told: a file's name.
    public let subject: String

    /// Reads a folder's name, `<time>-<subject>`; nil for any other.
    fileprivate init?(_ name: String, in aside: RepositoryKey) {
        guard let dash = name.firstIndex(of: "-"), ArchiveFileName(String(name[name.index(after: dash)...])) != nil
        else { return nil }
        key = aside.appending(name)
        subject = String(name[name.index(after: dash)...])
    }
}

/// An object that was put aside.
public struct AsideObject: Hashable, Sendable {
    /// Where it is now.
    public let key: RepositoryKey
    /// Where it was.
    public let place: RepositoryKey
    public let file: ArchiveFileName
    public let copy: Int
}

extension ClusterArchive {
    /// Newest first.
    public func asideFolders() throws -> [AsideFolder] {
        try store.list(incarnation.asideFolder).filter(\.isFolder).reversed()
            .compactMap { AsideFolder($0.name, in: incarnation.asideFolder) }
    }

    /// What is in such a folder still, in order; histories last.
    public func objects(of folder: AsideFolder) throws -> [AsideObject] {
        var objects: [AsideObject] = []
        func add(_ entry: RepositoryEntry, _ key: RepositoryKey) {
            guard !entry.isFolder, let (file, copy) = ArchiveFileName.object(entry.name) else { return }
            objects.append(
                AsideObject(
                    key: key.appending(entry.name), place: incarnation.key(for: file, copy: copy), file: file,
                    copy: copy))
        }
        let wal = folder.key.appending("wal")
        let entries = try store.list(wal)
        for timeline in entries where timeline.isFolder {
            let key = wal.appending(timeline.name)
            for part in try store.list(key) where part.isFolder {
                for entry in try store.list(key.appending(part.name)) { add(entry, key.appending(part.name)) }
            }
        }
        for entry in entries { add(entry, wal) }
        return objects
    }
}

extension ObjectStore {
    /// Whether an object that was put aside is of another history than what is at `place`: a segment or a timeline's history
    /// with other contents. Where nothing is, it isn't.
    func contradicts(_ object: AsideObject, at place: RepositoryKey) throws -> Bool {
        switch object.file {
        case .partial, .backupHistory: return false
        case .segment, .history: break
        }
        do {
            let there = try StoredSegment(place, in: self)
            let aside = try StoredSegment(object.key, in: self)
            if there.head.digest == aside.head.digest { return false }
            guard case .history(let timeline) = object.file else { return true }
            return try !there.history(of: timeline).isSame(as: aside.history(of: timeline))
        } catch is ObjectAbsent { return false } catch is ObjectDamaged { return true } catch is BadTimelineHistory {
            return true
        }
    }

    /// Whether something of that history has been archived since under the names of what a folder holds.
    public func contradicts(_ objects: [AsideObject]) throws -> Bool {
        try objects.contains { try contradicts($0, at: $0.place) }
    }
}

extension StoredSegment {
    /// What a history file says.
    fileprivate func history(of timeline: TimelineID) throws -> TimelineHistory {
        try TimelineHistory(timeline: timeline, file: String(decoding: bytes(limit: 1 << 20), as: UTF8.self))
    }
}
