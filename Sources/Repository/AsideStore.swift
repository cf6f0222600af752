import Platform
public import WAL

/// A view of a repository in which the objects of a timeline that were put aside are in their own places, for a
/// recovery to that timeline.
///
/// An object in its own place comes first. A folder below `aside/` whose WAL belongs to another history than what is in
/// place is not read at all: the server has archived its own since.
public final class AsideStore: ObjectStore {
    private let base: any ObjectStore
    private let incarnation: Incarnation
    public let timeline: TimelineID
    /// Folders below `aside/`, the newest first.
    private let folders: [RepositoryKey]
    /// The names under which the timeline was put aside, newest first, as `put-back` takes them.
    public let subjects: [String]

    /// Nil when nothing of the timeline is put aside that fits what is in place.
    public init?(_ archive: ClusterArchive, timeline: TimelineID) throws {
        (base, incarnation, self.timeline) = (archive.store, archive.incarnation, timeline)
        var folders: [RepositoryKey] = []
        var subjects: [String] = []
        for folder in try archive.readableAsideFolders() where folder.subject.hasPrefix(timeline.fileNamePart) {
            // One that can't be listed stops nobody from reading the others.
            guard let objects = try archive.readableObjects(of: folder),
                objects.contains(where: { if case .backupHistory = $0.file { false } else { true } }),
                try !base.contradicts(objects),
                try !objects.contains(where: { object in
                    try folders.contains {
                        try archive.store.contradicts(
                            object, at: AsideStore.place(object.place, archive.incarnation, in: $0))
                    }
                })
            else { continue }
            folders.append(folder.key)
            if !subjects.contains(folder.subject) { subjects.append(folder.subject) }
        }
        guard !folders.isEmpty else { return nil }
        (self.folders, self.subjects) = (folders, subjects)
    }

    public var location: String { base.location }

    /// Where an object of the repository is in a folder below `aside/`.
    public static func place(_ key: RepositoryKey, _ incarnation: Incarnation, in folder: RepositoryKey)
        -> RepositoryKey
    {
        let rest = key.description.dropFirst(incarnation.folder.description.count + 1)
        return rest.split(separator: "/").reduce(folder) { $0.appending(String($1)) }
    }

    /// Where an object of the timeline may be, its own place first.
    private func places(_ key: RepositoryKey) -> [RepositoryKey] {
        let wal = incarnation.walFolder.description + "/"
        guard key.description.hasPrefix(wal + timeline.fileNamePart) else { return [key] }
        return [key] + folders.map { AsideStore.place(key, incarnation, in: $0) }
    }

    public func open(_ key: RepositoryKey, bringing count: Int) throws -> any StoredObject {
        for place in places(key).dropLast() {
            do { return try base.open(place, bringing: count) } catch is ObjectAbsent { continue }
        }
        do { return try base.open(places(key).last ?? key, bringing: count) } catch is ObjectAbsent {
            throw ObjectAbsent(key: key, location: location)
        }
    }

    public func size(of key: RepositoryKey) throws -> Int64? {
        for place in places(key) { if let size = try base.size(of: place) { return size } }
        return nil
    }

    public func list(_ folder: RepositoryKey, after name: String?) throws -> [RepositoryEntry] {
        var entries: [String: RepositoryEntry] = [:]
        func add(_ more: [RepositoryEntry]) {
            for entry in more where entries[entry.name] == nil { entries[entry.name] = entry }
        }
        add(try base.list(folder, after: name))
        if folder == incarnation.walFolder {
            for aside in folders {
                let found = try base.list(aside.appending("wal"), after: name)
                add(found.filter { $0.name.hasPrefix(timeline.fileNamePart) })
            }
        } else {
            for place in places(folder).dropFirst() { add(try base.list(place, after: name)) }
        }
        return entries.values.sorted { $0.name < $1.name }
    }

    public var absenceHint: String? { base.absenceHint }
    public func changeMark(of folder: RepositoryKey) throws -> Int64? { nil }
    public func makeDurable(_ key: RepositoryKey) throws { try base.makeDurable(key) }
    public func leftovers(in folder: RepositoryKey) throws -> [any StoredObject] { try base.leftovers(in: folder) }

    // What was put aside is only read.

    public func begin(_ key: RepositoryKey) throws -> any ObjectWriter { try base.begin(key) }
    public func begin(_ key: RepositoryKey, replacing replacement: Replacement) throws -> any ObjectWriter {
        try base.begin(key, replacing: replacement)
    }
    public func removeLeftovers(in folder: RepositoryKey) throws -> [String] { try base.removeLeftovers(in: folder) }
    public func move(_ key: RepositoryKey, to other: RepositoryKey) throws { try base.move(key, to: other) }
    public func remove(_ key: RepositoryKey) throws { try base.remove(key) }
    public func lock(
        _ name: String, in folder: RepositoryKey, isShared: Bool, patience milliseconds: Int, makesFolder: Bool
    ) throws -> LockAttempt {
        try base.lock(name, in: folder, isShared: isShared, patience: milliseconds, makesFolder: makesFolder)
    }
    public func isLocked(_ name: String, in folder: RepositoryKey) throws -> Bool {
        try base.isLocked(name, in: folder)
    }
    public func capacity() throws -> StoreCapacity? { try base.capacity() }
    public var localDirectory: LocalDirectory? { base.localDirectory }
    public func removal() -> any ObjectRemoval { base.removal() }
}
