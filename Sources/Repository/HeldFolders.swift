import Glibc
public import Platform

/// Removes objects of a repository in a directory: what is removed is what was listed, and nothing that a symbolic link
/// leads to.
///
/// A repository, an incarnation and the folders of an incarnation (`wal`, `backup`, `pack` …) may each be elsewhere,
/// reached by a link that a person put there. They are held open from the moment they are listed for removal. Below
/// them no link is followed, whether it was there before or appears later.
struct HeldFolders: ObjectRemoval {
    private let store: DirectoryStore
    private var held: [RepositoryKey: HeldDirectory] = [:]

    init(in store: DirectoryStore) { self.store = store }

    /// Holds the incarnation's folder in which it is.
    mutating func hold(_ folder: RepositoryKey) throws {
        let part = HeldFolders.split(folder).part
        if held[part] == nil { held[part] = try open(part) }
    }

    func remove(_ key: RepositoryKey) throws {
        guard let place = try place(key) else { return }
        try naming(key, place) {
            try Files.removeIfPresent(place)
            if let folder = place.parent, try Files.exists(folder) { try Files.synchronizeDirectory(folder) }
        }
    }

    func removeAll(in folder: RepositoryKey) throws {
        try refuseLink(at: folder)
        if let place = try place(folder) { try naming(folder, place) { try Files.removeTree(place) } }
    }

    func removeIfEmpty(_ folder: RepositoryKey) {
        if let place = try? place(folder) { try? Files.removeDirectory(place) }
    }

    func refuseLink(at folder: RepositoryKey) throws {
        guard let place = try place(folder), place.parent != nil else { return }
        try naming(folder, place) {
            guard try FileStatus(ofLinkItself: place)?.kind == .symbolicLink else { return }
            throw BehindLink(key: folder, link: place.path)
        }
    }

    /// Refuses an object that is behind a link, before it is moved.
    func refuseLink(above key: RepositoryKey) throws {
        guard let place = try place(key) else { return }
        try naming(key, place) { _ = try FileStatus(ofLinkItself: place) }
    }

    /// Nil where the incarnation's folder isn't there.
    private func place(_ key: RepositoryKey) throws -> Place? {
        let (part, rest) = HeldFolders.split(key)
        return try (held[part] ?? open(part)).map { Place(rest, in: $0) }
    }

    private func open(_ part: RepositoryKey) throws -> HeldDirectory? {
        let place = try store.place(part)
        do throws(SystemError) { return try HeldDirectory(confining: place) } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
    }

    /// Says which link is in the way.
    private func naming(_ key: RepositoryKey, _ place: Place, _ body: () throws -> Void) throws {
        do { try body() } catch let error as SystemError where error.code == ELOOP {
            var step = place.parent
            while let here = step {
                if let status = try? FileStatus(ofLinkItself: here), status.kind == .symbolicLink {
                    throw BehindLink(key: key, link: here.path)
                }
                step = here.parent
            }
            throw error
        }
    }

    /// The incarnation's folder in which a key is, and the rest of the path; for other keys, the folder.
    private static func split(_ key: RepositoryKey) -> (part: RepositoryKey, rest: String) {
        let names = Files.names(in: key.description).map(String.init)
        // The marker is the only object that is in none of its folders.
        guard names.count > 2, key.name != "incarnation.json",
            Incarnation(cluster: names[0], folderName: names[1]) != nil,
            let part = RepositoryKey(names[..<3].joined(separator: "/"))
        else { return (key.folder, Files.name(key.description)) }
        return (part, names.count == 3 ? "." : names[3...].joined(separator: "/"))
    }
}

/// Something that is to be removed is behind a link below one of an incarnation's folders.
public struct BehindLink: Explained, Equatable {
    public let key: RepositoryKey
    public let link: String
    public var message: String { "\"\(key)\" is behind a symbolic link" }
    public var detail: String? {
        "Nothing is removed through the link \"\(link)\": what it leads to may belong to somebody else."
    }
    public var hint: String? { "Put what the link leads to in its place, then repeat the command; or remove both." }
}
