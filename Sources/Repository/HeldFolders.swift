import Glibc
import Platform

/// Folders of a repository in a directory that are held open from the moment somebody looks at what may be removed from
/// them: what goes is what was looked at. A repository's folders may be symbolic links; those that come later are not
/// followed.
public struct HeldFolders {
    private let store: any ObjectStore
    private var held: [RepositoryKey: HeldDirectory] = [:]

    public init(in store: any ObjectStore) { self.store = store }

    /// Holds a folder, and those directly in it that are links. Nothing happens where it isn't there.
    public mutating func hold(_ folder: RepositoryKey) throws {
        guard let found = try (store as? DirectoryStore)?.place(folder) else { return }
        let directory: HeldDirectory
        do throws(SystemError) { directory = try HeldDirectory(confining: found) } catch {
            if error.code == ENOENT { return }
            throw error
        }
        held[folder] = directory
        let place = Place(".", in: directory)
        for name in try Files.list(place) where RepositoryKey.isPart(name) {
            let entry = place.appending(name)
            guard try FileStatus(ofLinkItself: entry)?.kind == .symbolicLink else { continue }
            // One that leads nowhere, or to a file, is only a name.
            held[folder.appending(name)] = try? HeldDirectory(following: entry)
        }
    }

    /// Removes an object, durably; it need not be there.
    public func remove(_ key: RepositoryKey) throws {
        guard let place = place(key), let folder = place.parent else { return try store.remove(key) }
        try Files.removeIfPresent(place)
        if try Files.exists(folder) { try Files.synchronizeDirectory(folder) }
    }

    /// Removes a folder with everything in it, temporaries and locks included; of a link, the link.
    public func removeTree(_ key: RepositoryKey) throws {
        if let place = place(key) { return try Files.removeTree(place) }
        if let directory = store as? DirectoryStore { return try Files.removeTree(directory.place(key)) }
        for entry in try store.list(key) { try store.remove(key.appending(entry.name)) }
    }

    /// Removes a folder if nothing is in it.
    public func removeIfEmpty(_ key: RepositoryKey) {
        if let place = place(key) { try? Files.removeDirectory(place) }
    }

    /// Nil where no folder above is held.
    private func place(_ key: RepositoryKey) -> Place? {
        var name = Files.name(key.description)
        var above = key.folder
        while above != .root {
            if let directory = held[above] { return Place(name, in: directory) }
            name = Files.name(above.description) + "/" + name
            above = above.folder
        }
        return nil
    }
}
