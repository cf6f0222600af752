import Platform
public import WAL

/// A repository in which a timeline that was put aside is where it was, for a recovery that is told to go there.
public final class AsideStore: ObjectStore {
    private let base: any ObjectStore
    private let incarnation: Incarnation
    private let timeline: TimelineID
    /// Folders below `aside/`, the newest first.
    private let folders: [RepositoryKey]

    /// Nil when nothing of the timeline was put aside.
    public init?(_ base: any ObjectStore, _ incarnation: Incarnation, timeline: TimelineID) throws {
        (self.base, self.incarnation, self.timeline) = (base, incarnation, timeline)
        let names = try base.list(incarnation.asideFolder).filter { entry in
            entry.isFolder
                && entry.name.split(separator: "-").last.map { part in
                    part.hasPrefix(timeline.fileNamePart)
                } ?? false
        }
        guard !names.isEmpty else { return nil }
        folders = names.reversed().map { incarnation.asideFolder.appending($0.name) }
    }

    public var location: String { base.location }

    /// Where an object of the timeline may be: at its own place first.
    private func places(_ key: RepositoryKey) -> [RepositoryKey] {
        let wal = incarnation.walFolder.description + "/"
        guard key.description.hasPrefix(wal + timeline.fileNamePart) else { return [key] }
        let rest = key.description.dropFirst(incarnation.folder.description.count + 1)
        return [key] + folders.map { rest.split(separator: "/").reduce($0) { $0.appending(String($1)) } }
    }

    public func open(_ key: RepositoryKey) throws -> any StoredObject {
        for place in places(key).dropLast() {
            do { return try base.open(place) } catch is ObjectAbsent { continue }
        }
        do { return try base.open(places(key).last ?? key) } catch is ObjectAbsent {
            throw ObjectAbsent(key: key, location: location)
        }
    }

    public func size(of key: RepositoryKey) throws -> Int64? {
        for place in places(key) { if let size = try base.size(of: place) { return size } }
        return nil
    }

    public func list(_ folder: RepositoryKey) throws -> [RepositoryEntry] {
        var entries = Set(try base.list(folder))
        if folder == incarnation.walFolder {
            for aside in folders {
                for entry in try base.list(aside.appending("wal"))
                where entry.name.hasPrefix(timeline.fileNamePart) {
                    entries.insert(entry)
                }
            }
        } else {
            for place in places(folder).dropFirst() { entries.formUnion(try base.list(place)) }
        }
        return entries.sorted { $0.name < $1.name }
    }

    public func changeMark(of folder: RepositoryKey) throws -> Int64? { nil }
    public func makeDurable(_ key: RepositoryKey) throws { try base.makeDurable(key) }
    public func leftovers(in folder: RepositoryKey) throws -> [any StoredObject] { try base.leftovers(in: folder) }

    // What is put aside is for reading.

    public func create(
        _ key: RepositoryKey, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws { try base.create(key, write: write) }
    public func removeLeftovers(in folder: RepositoryKey) throws -> [String] { try base.removeLeftovers(in: folder) }
    public func move(_ key: RepositoryKey, to other: RepositoryKey) throws { try base.move(key, to: other) }
    public func remove(_ key: RepositoryKey) throws { try base.remove(key) }
}
