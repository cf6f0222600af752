import CLinux
public import Glibc

/// The name that a new file was to get is taken.
public struct AlreadyPresent: Explained, Equatable {
    public let path: String
    public init(path: String) { self.path = path }

    public var message: String { "file \"\(path)\" already exists" }
    public var detail: String? { "It has appeared meanwhile; nothing is overwritten." }
    public var hint: String? { "Move it, or name another file, then try again." }
}

/// Creates a file that is either complete and durable, or absent.
///
/// The steps, each of which must have succeeded before the next one starts:
///
/// 1. The content goes to a temporary in the same directory (`temporaryName`). A missing directory is created first and
///    made durable; so is one that holds no object yet, because the process that created it may have died before. A
///    process killed here leaves a temporary that can't be mistaken for an object, because no object's name starts with
///    a dot; `removeStaleTemporaries` recognises it.
/// 2. fsync of the temporary: content and size are on disk before any name refers to them.
/// 3. renameat2(2) with RENAME_NOREPLACE to the final name, which fails when the name is taken: nothing is ever
///    overwritten. On file systems without it link(2) and unlink(2) guarantee the same.
/// 4. fsync of the directory: the new name is on disk. Only then does the call return.
///
/// Below a held directory missing ones are created, but never that one itself; and before step 3 the temporary must be
/// found by its whole path, by which other processes will look for the object: for them, a file written into an
/// unmounted file system is lost.
///
/// - Throws: `AlreadyPresent` when the name is taken, `PlaceLost`, `SystemError`, or what `write` throws; the temporary
///   is removed.
public func createDurably(
    _ place: Place, mode: mode_t = 0o640, write: (borrowing Descriptor, _ temporary: String) throws -> Void
) throws {
    let new = try NewFile(place, mode: mode)
    try new.write(write)
    try new.commit()
}

/// As above, by a path.
public func createDurably(
    _ path: String, mode: mode_t = 0o640, write: (borrowing Descriptor, _ temporary: String) throws -> Void
) throws { try createDurably(Place(path), mode: mode, write: write) }

/// As `createDurably`, with the whole content in memory.
public func createDurably(_ path: String, bytes: [UInt8], mode: mode_t = 0o640) throws {
    try createDurably(path, mode: mode) { file, temporary in
        try bytes.withUnsafeBytes { try file.write($0, path: temporary) }
    }
}

/// Replaces a file's content atomically and durably: a reader sees the old content or the new, never a mixture. For
/// tidemark's own settings and state; an object of a repository is replaced only when it is damaged, by its store.
public func replaceDurably(_ path: String, bytes: [UInt8], mode: mode_t = 0o640) throws {
    try replaceDurably(Place(path), bytes: bytes, mode: mode)
}

/// As above, in a directory that is held open.
public func replaceDurably(_ place: Place, bytes: [UInt8], mode: mode_t = 0o640) throws {
    try replaceDurably(place, mode: mode) { file, temporary in
        try bytes.withUnsafeBytes { try file.write($0, path: temporary) }
    }
}

/// As above, for content that isn't in memory as a whole.
public func replaceDurably(
    _ path: String, mode: mode_t = 0o640, write: (borrowing Descriptor, _ temporary: String) throws -> Void
) throws { try replaceDurably(Place(path), mode: mode, write: write) }

/// As above, in a directory that is held open.
public func replaceDurably(
    _ place: Place, mode: mode_t = 0o640, write: (borrowing Descriptor, _ temporary: String) throws -> Void
) throws {
    guard let directory = place.parent else { throw SystemError(.open, place.path, code: EISDIR) }
    let temporary = directory.appending(Files.name(temporaryName(for: place.path)))
    Temporaries.add(temporary.path)
    defer { Temporaries.forget(temporary.path) }
    do {
        let file = try Descriptor(open: temporary, O_RDWR | O_CREAT | O_EXCL, mode: mode)
        try write(file, temporary.path)
        try file.synchronize(path: temporary.path)
        try file.close(path: temporary.path)
        try Files.rename(temporary, to: place)
    } catch {
        try? Files.remove(temporary)
        throw error
    }
    try Files.synchronizeDirectory(directory)
}

func openNew(_ temporary: Place, in directory: Place, mode: mode_t) throws(SystemError) -> Descriptor {
    do throws(SystemError) { return try Descriptor(open: temporary, O_RDWR | O_CREAT | O_EXCL, mode: mode) } catch {
        guard error.code == ENOENT else { throw error }
        try Files.makeDirectories(directory)
        return try Descriptor(open: temporary, O_RDWR | O_CREAT | O_EXCL, mode: mode)
    }
}

/// Makes the entries of `directory` and of its parents durable, up to the held one, unless an object in it shows that
/// this was done before.
func secureRoad(to directory: Place) throws(SystemError) {
    guard try !Files.holdsVisible(directory) else { return }
    var place = directory
    while let parent = place.parent {
        place = parent
        try Files.synchronizeDirectory(place)
    }
}

func renameWithoutReplacing(_ temporary: Place, to place: Place) throws {
    do throws(SystemError) {
        _ = try retrying(.rename, place.path) {
            temporary.anchored { directory, name in
                place.anchored { clinux_rename_noreplace(directory, name, $0, $1) }
            }
        }
    } catch {
        switch error.code {
        case EEXIST: throw AlreadyPresent(path: place.path)
        case EINVAL, ENOSYS, EOPNOTSUPP: try linkWithoutReplacing(temporary, to: place)
        default: throw error
        }
    }
}

private func linkWithoutReplacing(_ temporary: Place, to place: Place) throws {
    do throws(SystemError) { try Files.link(temporary, to: place) } catch {
        if error.code == EEXIST { throw AlreadyPresent(path: place.path) }
        throw error
    }
    try? Files.remove(temporary)
}
