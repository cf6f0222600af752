import Glibc
public import Platform

/// A repository in a directory of any POSIX file system; keys are paths below it.
public final class DirectoryStore: ObjectStore {
    /// Its absolute path, or one relative to the working directory.
    public let location: String
    private let held: HeldIncarnations

    /// Touches nothing: `tidemark init` must have made the directory.
    public init(_ path: String) {
        var trimmed = path[...]
        while trimmed.utf8.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        location = String(trimmed)
        held = HeldIncarnations.of(location)
    }

    /// The path of the file that holds an object.
    public func path(_ key: RepositoryKey) -> String { key == .root ? location : location + "/" + key.description }

    /// Where to look for an object: below the incarnation's directory that was opened first, whatever the path leads to
    /// now.
    public func place(_ key: RepositoryKey) throws -> Place { try held.place(key) }

    /// As `place`, for writing.
    /// - Throws: `IncarnationMissing`, `RepositoryMissing`.
    public func writingPlace(_ key: RepositoryKey) throws -> Place { try held.writingPlace(key) }

    public func reopen() { held.letGo() }

    /// Writes through `NewFile`. Missing folders are made below an incarnation; the incarnation itself is made only by
    /// its marker, and the root never: a repository whose file system isn't mounted must not come into being a second
    /// time in the empty mount point.
    public func begin(_ key: RepositoryKey) throws -> any ObjectWriter {
        let place = try writingPlace(key)
        try requireStorage(of: key, at: place)
        return FileWriter(key, try NewFile(place), location: location)
    }

    /// Reads nothing yet: a second read costs as much as the first.
    public func open(_ key: RepositoryKey, bringing count: Int) throws -> any StoredObject {
        let place = try place(key)
        do { return try StoredFile(key: key, place: place) } catch let error as SystemError where error.code == ENOENT {
            try requireRoot(place)
            try requireStorage(of: key, at: place)
            throw ObjectAbsent(key: key, location: location)
        }
    }

    /// Nil, too, for an object behind a link that leads nowhere.
    public func size(of key: RepositoryKey) throws -> Int64? {
        let place = try place(key)
        if let status = try FileStatus(ifPresent: place) {
            held.saw(key)
            return status.size
        }
        try requireRoot(place)
        return nil
    }

    public func list(_ folder: RepositoryKey, after first: String?) throws -> [RepositoryEntry] {
        let place = try place(folder)
        let names: [String]
        do throws(SystemError) { names = try Files.list(place) } catch {
            guard error.code == ENOENT else { throw error }
            try requireRoot(place)
            try requireStorage(of: folder, at: place)
            return []
        }
        if names.isEmpty { try requireStorage(of: folder, at: place) }
        var entries: [RepositoryEntry] = []
        for name in names.sorted() where RepositoryKey.isPart(name) && first.map({ $0 < name }) ?? true {
            let child = place.appending(name)
            guard let status = try FileStatus(ifPresent: child) else {
                // A link that leads nowhere is listed: opening it reports that it can't be reached.
                if try FileStatus(ofLinkItself: child) != nil {
                    entries.append(RepositoryEntry(object: name, size: nil, modified: nil))
                }
                continue
            }
            // An object keeps its modification time for life, wherever it is moved.
            entries.append(
                status.kind == .directory
                    ? RepositoryEntry(folder: name)
                    : RepositoryEntry(object: name, size: status.size, modified: status.modified))
        }
        return entries
    }

    public var tellsChanges: Bool { true }

    /// The directory's modification time, unless it is so recent that another change could get the same.
    public func changeMark(of folder: RepositoryKey) throws -> Int64? {
        guard let status = try FileStatus(ifPresent: place(folder)), status.modified < Clock.now - 2_000_000 else {
            return nil
        }
        return status.modified
    }

    /// The content was fsynced before the file got its name (`NewFile`); only directory entries may be missing.
    public func makeDurable(_ key: RepositoryKey) throws {
        var folder = key.folder
        while true {
            try Files.synchronizeDirectory(place(folder))
            if folder == .root { return }
            folder = folder.folder
        }
    }

    public func removeLeftovers(in folder: RepositoryKey) throws -> [String] {
        try removeStaleTemporaries(in: place(folder)).map(\.path)
    }

    public func leftovers(in folder: RepositoryKey) throws -> [any StoredObject] {
        try removeStaleTemporaries(in: place(folder), dryRun: true).sorted { $0.path < $1.path }.map {
            try StoredFile(key: folder, place: $0)
        }
    }

    public func move(_ key: RepositoryKey, to other: RepositoryKey) throws {
        try HeldFolders(in: self).refuseLink(above: key)
        try held(key) { status in
            try keep(key, under: other)
            // The name may lead to another object by now, which has no other key.
            if try FileStatus(ifPresent: place(key))?.isSame(as: status) == true { try remove(key) }
        }
    }

    public func remove(_ key: RepositoryKey) throws { try HeldFolders(in: self).remove(key) }

    /// By flock(2) on a file whose name begins with a dot: the kernel ends a lock with the process that holds it.
    public func lock(
        _ name: String, in folder: RepositoryKey, isShared: Bool, patience milliseconds: Int, makesFolder: Bool
    ) throws -> LockAttempt {
        do {
            let place = try makesFolder ? writingPlace(folder) : place(folder)
            if makesFolder { try Files.makeDirectories(place) }
            let path = place.appending("." + name)
            let file = try Descriptor(open: path, O_RDWR | O_CREAT)
            var waited = 0
            while try !file.tryLock(path: path.path, shared: isShared) {
                guard waited < milliseconds else { return .refused(by: nil) }
                Clock.sleep(milliseconds: 50)
                waited += 50
            }
            return .taken(try FileLock(file, of: path, named: name, isShared: isShared))
        } catch let error as SystemError where error.forbidsWriting {
            return .impossible(error)
        } catch let error as SystemError where error.code == ENOENT && !makesFolder {
            throw ObjectAbsent(key: folder, location: location)
        }
    }

    public func isLocked(_ name: String, in folder: RepositoryKey) throws -> Bool {
        let path = try place(folder).appending("." + name)
        guard try Files.exists(path) else { return false }
        let file = try Descriptor(openForLock: path)
        do throws(SystemError) {
            guard try file.tryLock(path: path.path) else { return true }
        } catch {
            // On a network file system a reader can only take the lock shared: success shows only that nobody holds it
            // alone.
            guard error.code == EBADF, try !file.tryLock(path: path.path, shared: true) else { throw error }
            return true
        }
        file.unlock()
        return false
    }

    /// The file system's capacity.
    public func capacity() throws -> StoreCapacity? {
        let space = try Files.space(at: location)
        return StoreCapacity(free: space.free, total: space.total)
    }

    /// A file system that isn't mounted looks like an empty one.
    public var absenceHint: String? { "Is all of the repository's storage mounted?" }

    public var localDirectory: LocalDirectory? { LocalDirectory(path: location) }

    public func removal() -> any ObjectRemoval { HeldFolders(in: self) }

    /// An object isn't known to be absent, and none is made, behind a symbolic link whose storage may not be mounted.
    /// - Throws: `UnreachableObject` when a link on the way leads nowhere, or to an empty directory that isn't the root
    ///   of a mounted file system.
    private func requireStorage(of key: RepositoryKey, at place: Place) throws {
        var step: Place? = place
        while let here = step, here.path != location {
            if try FileStatus(ofLinkItself: here)?.kind == .symbolicLink {
                guard let target = try FileStatus(ifPresent: here) else {
                    throw UnreachableObject(key: key, link: here.path, isEmpty: false)
                }
                if target.kind == .directory, try Files.list(here).isEmpty,
                    try FileStatus(ifPresent: here.path + "/..")?.device == target.device
                {
                    throw UnreachableObject(key: key, link: here.path, isEmpty: true)
                }
            }
            step = here.parent
        }
    }

    /// "Not there" means something only while the repository is there, or the incarnation's directory is held open.
    private func requireRoot(_ place: Place) throws {
        if place.directory != nil { return }
        guard try FileStatus(ifPresent: location)?.kind == .directory else {
            throw RepositoryMissing(location: location)
        }
    }
}

/// The repository itself can't be found, so nothing is known of its objects.
public struct RepositoryMissing: Explained, Equatable {
    public let location: String
    public init(location: String) { self.location = location }
    public var message: String { "repository \"\(location)\" does not exist" }
    public var hint: String? {
        "Is its file system mounted? \"\(runnable("tidemark init"))\" creates a new repository."
    }
    public var isTransient: Bool { true }
}

/// An object lies behind a link whose storage isn't there at the moment; whether it exists is not known.
public struct UnreachableObject: Explained, Equatable {
    public let key: RepositoryKey
    public let link: String
    /// Whether the link leads to an empty directory, as a mount point is without its file system; else it leads
    /// nowhere.
    public let isEmpty: Bool
    public var message: String { "object \"\(key)\" of the repository cannot be reached" }
    public var detail: String? {
        "Symbolic link \"\(link)\" leads " + (isEmpty ? "to an empty directory." : "nowhere.")
    }
    public var hint: String? {
        "Is the storage that it leads to mounted?"
            + (isEmpty ? " If the directory is new, put any file into it, such as an empty one named \".new\"." : "")
    }
    public var isTransient: Bool { true }
}

/// Something that was never an object has an object's name.
public struct NotAnObject: Explained, Equatable {
    public let key: RepositoryKey
    public let path: String
    public var message: String { "object \"\(key)\" of the repository is not an ordinary file" }
    public var detail: String? { "A directory, FIFO, socket or device is in its place, \"\(path)\"." }
}
