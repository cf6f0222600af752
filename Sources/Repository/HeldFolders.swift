import Glibc
import Platform

/// Folders of a repository in a directory that are held open from the moment they are listed for removal: what is
/// removed is what was listed. A repository's folders may be symbolic links; links that appear later are not followed.
struct HeldFolders: ObjectRemoval {
    private let store: DirectoryStore
    private var held: [RepositoryKey: HeldDirectory] = [:]

    init(in store: DirectoryStore) { self.store = store }

    /// Holds the folder, and the links directly in it.
    mutating func hold(_ folder: RepositoryKey) throws {
        let found = try store.place(folder)
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
            // A link that leads nowhere, or to a file, is only a name.
            held[folder.appending(name)] = try? HeldDirectory(following: entry)
        }
    }

    func remove(_ key: RepositoryKey) throws {
        guard let place = place(key), let folder = place.parent else { return try store.remove(key) }
        try Files.removeIfPresent(place)
        if try Files.exists(folder) { try Files.synchronizeDirectory(folder) }
    }

    /// Of a link, only the link itself is removed.
    func removeAll(in folder: RepositoryKey) throws { try Files.removeTree(place(folder) ?? store.place(folder)) }

    func removeIfEmpty(_ folder: RepositoryKey) {
        if let place = try? place(folder) ?? store.place(folder) { try? Files.removeDirectory(place) }
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
