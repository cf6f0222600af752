import Glibc
public import Platform

/// A repository in a directory of any POSIX file system; keys are paths below it.
public final class DirectoryStore: ObjectStore {
    /// Its absolute path, or one relative to the working directory.
    public let location: String

    /// Nothing is touched: the directory must have been made by `tidemark init`.
    public init(_ path: String) {
        var trimmed = path[...]
        while trimmed.utf8.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        location = String(trimmed)
    }

    /// The file that holds an object.
    public func path(_ key: RepositoryKey) -> String { key == .root ? location : location + "/" + key.description }

    /// As the protocol says, through `createDurably`; missing folders are made below the repository's root, which itself
    /// must be there: a repository whose file system isn't mounted must not come into being a second time beside it.
    public func create(
        _ key: RepositoryKey, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let path = path(key)
        do {
            try createDurably(path, below: location) { file, temporary in
                var stream = WriteStream()
                try write { try stream.write($0, to: file, path: temporary) }
            }
        } catch let error as SystemError where error.code == ENOENT && error.subject == location {
            throw RepositoryMissing(location: location)
        } catch is AlreadyPresent {
            throw ObjectExists(key: key, location: location)
        }
    }

    public func open(_ key: RepositoryKey) throws -> any StoredObject {
        let path = path(key)
        do throws(SystemError) { return try StoredFile(key: key, path: path) } catch {
            guard error.code == ENOENT else { throw error }
            try requireRoot()
            throw ObjectAbsent(key: key, location: location)
        }
    }

    public func size(of key: RepositoryKey) throws -> Int64? {
        if let status = try FileStatus(ifPresent: path(key)) { return status.size }
        try requireRoot()
        return nil
    }

    public func list(_ folder: RepositoryKey) throws -> [RepositoryEntry] {
        let path = path(folder)
        let names: [String]
        do throws(SystemError) { names = try Files.list(path) } catch {
            guard error.code == ENOENT else { throw error }
            try requireRoot()
            return []
        }
        var entries: [RepositoryEntry] = []
        for name in names.sorted() where RepositoryKey.isPart(name) {
            guard let status = try FileStatus(ifPresent: path + "/" + name) else { continue }
            entries.append(RepositoryEntry(name: name, isFolder: status.kind == .directory))
        }
        return entries
    }

    /// The directory's time of change, unless it is so young that another change could get the same.
    public func changeMark(of folder: RepositoryKey) throws -> Int64? {
        guard let status = try FileStatus(ifPresent: path(folder)), status.modified < Clock.now - 2_000_000 else {
            return nil
        }
        return status.modified
    }

    /// Its content was fsynced before it got its name (`createDurably`); what may be missing are the directory entries.
    public func makeDurable(_ key: RepositoryKey) throws {
        var folder = key.folder
        while true {
            try Files.synchronizeDirectory(path(folder))
            if folder == .root { return }
            folder = folder.folder
        }
    }

    public func removeLeftovers(in folder: RepositoryKey) throws -> [String] {
        try removeStaleTemporaries(in: path(folder))
    }

    public func leftovers(in folder: RepositoryKey) throws -> [any StoredObject] {
        try removeStaleTemporaries(in: path(folder), dryRun: true).sorted().map {
            try StoredFile(key: folder, path: $0)
        }
    }

    public func move(_ key: RepositoryKey, to other: RepositoryKey) throws {
        let (from, to) = (path(key), path(other))
        guard try exists(key) else { throw ObjectAbsent(key: key, location: location) }
        try Files.makeDirectories(Files.parent(to))
        do throws(SystemError) { try Files.link(from, to: to) } catch {
            if error.code == EEXIST { throw ObjectExists(key: other, location: location) }
            throw error
        }
        try makeDurable(other)
        try remove(key)
    }

    public func remove(_ key: RepositoryKey) throws {
        try Files.removeIfPresent(path(key))
        if try Files.exists(path(key.folder)) { try Files.synchronizeDirectory(path(key.folder)) }
    }

    /// "Not there" means something only in a repository that is there.
    private func requireRoot() throws {
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
    public var hint: String? { "Is its file system mounted? \"tidemark init\" creates a new repository." }
}

private final class StoredFile: StoredObject {
    let key: RepositoryKey
    let size: Int64
    private let path: String
    private let file: Descriptor

    init(key: RepositoryKey, path: String) throws(SystemError) {
        let file = try Descriptor(open: path, O_RDONLY)
        let status = try file.status(path: path)
        guard status.kind == .regular else { throw SystemError(.open, path, code: EISDIR) }
        self.size = status.size
        self.key = key
        self.path = path
        self.file = file
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        try file.read(into: buffer, at: offset, path: path)
    }

    func readAhead(at offset: Int64, count: Int64) { file.readAhead(at: offset, count: count) }

    func release(at offset: Int64, count: Int64) { file.dropCached(at: offset, count: count) }
}
