import CLinux
public import Glibc

/// Something else already lives under the name a new file was to get.
public struct AlreadyPresent: Error, Equatable {
    public let path: String
    public init(path: String) { self.path = path }
}

/// Creates a file so that it is either there, whole and durable, or not there at all.
///
/// The steps, each of which must have succeeded before the next one starts:
///
/// 1. The content goes to a temporary in the same directory (`temporaryName`). If the directory is missing it is made
///    first, and made durable; so is one that holds no object yet, because its maker may have died in between. A process
///    killed here leaves a temporary that nobody mistakes for an object, because no object's name starts with a dot;
///    `removeStaleTemporaries` knows it again.
/// 2. fsync of the temporary: content and size are on disk before any name points at them.
/// 3. renameat2(2) with RENAME_NOREPLACE to the final name, which fails when the name is taken: nothing is ever
///    overwritten. File systems without it get link(2) and unlink(2), which promise the same.
/// 4. fsync of the directory: the new name is on disk. Only then does the caller hear of success.
///
/// - Parameter root: missing directories are made only below this one, which must exist; nil makes any.
/// - Throws: `AlreadyPresent` when the name is taken, `SystemError`, or what `write` throws; the temporary is removed.
public func createDurably(
    _ path: String, mode: mode_t = 0o640, below root: String? = nil,
    write: (borrowing Descriptor, _ temporary: String) throws -> Void
) throws {
    let directory = Files.parent(path)
    let temporary = temporaryName(for: path)
    do {
        let file = try openNew(temporary, in: directory, below: root, mode: mode)
        try write(file, temporary)
        try file.synchronize(path: temporary)
        try file.close(path: temporary)
        if let root { try secureRoad(to: directory, below: root) }
        try renameWithoutReplacing(temporary, to: path)
    } catch {
        try? Files.remove(temporary)
        throw error
    }
    try Files.synchronizeDirectory(directory)
}

/// As `createDurably`, with all bytes at hand.
public func createDurably(_ path: String, bytes: [UInt8], mode: mode_t = 0o640) throws {
    try createDurably(path, mode: mode) { file, temporary in
        try bytes.withUnsafeBytes { try file.write($0, path: temporary) }
    }
}

/// Replaces a file's content in one step, durably: a reader sees the old content or the new, never a mixture.
/// For files that are ours to rewrite (settings, state); objects of a repository are never replaced.
public func replaceDurably(_ path: String, bytes: [UInt8], mode: mode_t = 0o640) throws {
    try replaceDurably(path, mode: mode) { file, temporary in
        try bytes.withUnsafeBytes { try file.write($0, path: temporary) }
    }
}

/// As above, for content that isn't at hand as a whole.
public func replaceDurably(
    _ path: String, mode: mode_t = 0o640, write: (borrowing Descriptor, _ temporary: String) throws -> Void
) throws {
    let temporary = temporaryName(for: path)
    do {
        let file = try Descriptor(open: temporary, O_RDWR | O_CREAT | O_EXCL, mode: mode)
        try write(file, temporary)
        try file.synchronize(path: temporary)
        try file.close(path: temporary)
        try Files.rename(temporary, to: path)
    } catch {
        try? Files.remove(temporary)
        throw error
    }
    try Files.synchronizeDirectory(Files.parent(path))
}

private func openNew(
    _ temporary: String, in directory: String, below root: String?, mode: mode_t
) throws(SystemError) -> Descriptor {
    do throws(SystemError) { return try Descriptor(open: temporary, O_RDWR | O_CREAT | O_EXCL, mode: mode) } catch {
        guard error.code == ENOENT else { throw error }
        if let root {
            guard try FileStatus(of: root).kind == .directory else { throw SystemError(.open, root, code: ENOTDIR) }
        }
        try Files.makeDirectories(directory)
        return try Descriptor(open: temporary, O_RDWR | O_CREAT | O_EXCL, mode: mode)
    }
}

/// Makes the entries of `directory` and of those above it, up to `root`, durable, unless an object in it says that it was
/// done already.
private func secureRoad(to directory: String, below root: String) throws(SystemError) {
    guard try !Files.holdsVisible(directory) else { return }
    var path = directory
    while path.utf8.count > root.utf8.count && path.hasPrefix(root) {
        path = Files.parent(path)
        try Files.synchronizeDirectory(path)
    }
}

private func renameWithoutReplacing(_ temporary: String, to path: String) throws {
    do throws(SystemError) {
        _ = try retrying(.rename, path) { clinux_rename_noreplace(temporary, path) }
    } catch {
        switch error.code {
        case EEXIST: throw AlreadyPresent(path: path)
        case EINVAL, ENOSYS, EOPNOTSUPP: try linkWithoutReplacing(temporary, to: path)
        default: throw error
        }
    }
}

private func linkWithoutReplacing(_ temporary: String, to path: String) throws {
    do throws(SystemError) {
        _ = try retrying(.link, path) { link(temporary, path) }
    } catch {
        if error.code == EEXIST { throw AlreadyPresent(path: path) }
        throw error
    }
    try? Files.remove(temporary)
}
