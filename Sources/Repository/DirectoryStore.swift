import Glibc
public import Platform

/// A repository in a directory of any POSIX file system; keys are paths below it.
public final class DirectoryStore: ObjectStore {
    /// Its absolute path, or one relative to the working directory.
    public let location: String
    private let held: HeldIncarnations

    /// Nothing is touched: the directory must have been made by `tidemark init`.
    public init(_ path: String) {
        var trimmed = path[...]
        while trimmed.utf8.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        location = String(trimmed)
        held = HeldIncarnations.of(location)
    }

    /// The path of the file that holds an object.
    public func path(_ key: RepositoryKey) -> String { key == .root ? location : location + "/" + key.description }

    /// Where to look for it: below the incarnation that was opened first, whatever the path leads to by now.
    public func place(_ key: RepositoryKey) throws -> Place { try held.place(key) }

    /// The same for somebody who writes there.
    /// - Throws: `IncarnationMissing`, `RepositoryMissing`.
    public func writingPlace(_ key: RepositoryKey) throws -> Place { try held.writingPlace(key) }

    public func reopen() { held.letGo() }

    /// As the protocol says, through `NewFile`. Missing folders are made below an incarnation, never the incarnation
    /// itself but by its marker, and never the root: a repository whose file system isn't mounted must not come into being
    /// a second time beside it.
    public func begin(_ key: RepositoryKey) throws -> any ObjectWriter {
        FileWriter(key, try NewFile(writingPlace(key)), location: location)
    }

    /// Reads nothing yet: a second call costs as much as the first.
    public func open(_ key: RepositoryKey, bringing count: Int) throws -> any StoredObject {
        let place = try place(key)
        do { return try StoredFile(key: key, place: place) } catch let error as SystemError where error.code == ENOENT {
            try requireRoot(place)
            if let link = try danglingLink(at: place) { throw UnreachableObject(key: key, link: link) }
            throw ObjectAbsent(key: key, location: location)
        }
    }

    /// Nil for what lies behind a link that leads nowhere, too.
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
            if let link = try danglingLink(at: place) { throw UnreachableObject(key: folder, link: link) }
            return []
        }
        var entries: [RepositoryEntry] = []
        for name in names.sorted() where RepositoryKey.isPart(name) && first.map({ $0 < name }) ?? true {
            let child = place.appending(name)
            guard let status = try FileStatus(ifPresent: child) else {
                // An object that a link leads to is somewhere: whoever opens it learns that it can't be reached.
                if try FileStatus(ofLinkItself: child) != nil {
                    entries.append(RepositoryEntry(object: name, size: nil, modified: nil))
                }
                continue
            }
            // An object keeps its time of change for life, wherever it is moved to.
            entries.append(
                status.kind == .directory
                    ? RepositoryEntry(folder: name)
                    : RepositoryEntry(object: name, size: status.size, modified: status.modified))
        }
        return entries
    }

    /// The directory's time of change, unless it is so young that another change could get the same.
    public func changeMark(of folder: RepositoryKey) throws -> Int64? {
        guard let status = try FileStatus(ifPresent: place(folder)), status.modified < Clock.now - 2_000_000 else {
            return nil
        }
        return status.modified
    }

    /// Its content was fsynced before it got its name (`NewFile`); what may be missing are the directory entries.
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
        try held(key) { status in
            try keep(key, under: other)
            // The name may lead to another object by now, which has no further key.
            if try FileStatus(ifPresent: place(key))?.isSame(as: status) == true { try remove(key) }
        }
    }

    public func remove(_ key: RepositoryKey) throws {
        try Files.removeIfPresent(place(key))
        let folder = try place(key.folder)
        if try Files.exists(folder) { try Files.synchronizeDirectory(folder) }
    }

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
            // A network file system lets readers only share: whether nobody has it alone doesn't tell that nobody has it.
            guard error.code == EBADF, try !file.tryLock(path: path.path, shared: true) else { throw error }
            return true
        }
        file.unlock()
        return false
    }

    /// The file system's.
    public func capacity() throws -> StoreCapacity? {
        let space = try Files.space(at: location)
        return StoreCapacity(free: space.free, total: space.total)
    }

    public var localDirectory: LocalDirectory? { LocalDirectory(path: location) }

    public func removal() -> any ObjectRemoval { HeldFolders(in: self) }

    /// The symbolic link on the way to a file that isn't found: the storage behind it may be away.
    private func danglingLink(at place: Place) throws -> String? {
        var step: Place? = place
        while let here = step {
            if let status = try FileStatus(ofLinkItself: here) {
                return try status.kind == .symbolicLink && FileStatus(ifPresent: here) == nil ? here.path : nil
            }
            step = here.parent
        }
        return nil
    }

    /// "Not there" means something only in a repository that is there, as the one is whose incarnation is held.
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

/// An object lies behind a link that leads nowhere at the moment; whether it exists is not known.
public struct UnreachableObject: Explained, Equatable {
    public let key: RepositoryKey
    public let link: String
    public var message: String { "object \"\(key)\" of the repository cannot be reached" }
    public var detail: String? { "Symbolic link \"\(link)\" leads nowhere." }
    public var hint: String? { "Is the storage that it leads to mounted?" }
    public var isTransient: Bool { true }
}

/// Something that was never an object has an object's name.
public struct NotAnObject: Explained, Equatable {
    public let key: RepositoryKey
    public let path: String
    public var message: String { "object \"\(key)\" of the repository is not an ordinary file" }
    public var detail: String? { "A directory, FIFO, socket or device is in its place, \"\(path)\"." }
}
