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
/// 1. The directory is made (and made durable) if it is missing.
/// 2. The content goes to a temporary in the same directory, named `.<name>.<pid>.<random>.tmp`. A process killed here
///    leaves a temporary that nobody mistakes for an object, because no object's name starts with a dot.
/// 3. fsync of the temporary: content and size are on disk before any name points at them.
/// 4. link(2) to the final name, which fails when the name is taken: nothing is ever overwritten. File systems without
///    hard links get renameat2(2) with RENAME_NOREPLACE, which promises the same.
/// 5. The temporary's own name is removed.
/// 6. fsync of the directory: the new name is on disk. Only then does the caller hear of success.
///
/// - Throws: `AlreadyPresent` when the name is taken, `SystemError`, or what `write` throws; the temporary is removed.
public func createDurably(
    _ path: String, mode: mode_t = 0o640, write: (borrowing Descriptor, _ temporary: String) throws -> Void
) throws {
    let directory = Files.parent(path)
    try Files.makeDirectories(directory)
    let temporary = temporaryName(for: path)
    do {
        let file = try Descriptor(open: temporary, O_RDWR | O_CREAT | O_EXCL, mode: mode)
        try write(file, temporary)
        try file.synchronize(path: temporary)
        try file.close(path: temporary)
        try linkWithoutReplacing(temporary, to: path)
    } catch {
        unlink(temporary)
        throw error
    }
    unlink(temporary)
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
    let temporary = temporaryName(for: path)
    do {
        let file = try Descriptor(open: temporary, O_RDWR | O_CREAT | O_EXCL, mode: mode)
        try bytes.withUnsafeBytes { try file.write($0, path: temporary) }
        try file.synchronize(path: temporary)
        try file.close(path: temporary)
        try Files.rename(temporary, to: path)
    } catch {
        unlink(temporary)
        throw error
    }
    try Files.synchronizeDirectory(Files.parent(path))
}

/// `.<name>.<pid>.<16 hex digits>.tmp` beside `path`.
public func temporaryName(for path: String) -> String {
    var random: UInt64 = 0
    withUnsafeMutableBytes(of: &random) { _ = getentropy($0.baseAddress!, $0.count) }
    return "\(Files.parent(path))/.\(Files.name(path)).\(getpid()).\(String(random, radix: 16)).tmp"
}

private func linkWithoutReplacing(_ temporary: String, to path: String) throws {
    do throws(SystemError) {
        _ = try retrying(.link, path) { link(temporary, path) }
    } catch {
        switch error.code {
        case EEXIST: throw AlreadyPresent(path: path)
        case EPERM, EOPNOTSUPP, ENOSYS, EMLINK:
            do throws(SystemError) {
                _ = try retrying(.rename, path) { clinux_rename_noreplace(temporary, path) }
            } catch {
                if error.code == EEXIST { throw AlreadyPresent(path: path) }
                throw error
            }
        default: throw error
        }
    }
}
