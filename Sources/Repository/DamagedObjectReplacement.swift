import Glibc
import Platform

/// How a damaged object is replaced (`ObjectStore.begin`).
public struct Replacement {
    /// The key under which the damaged object is kept.
    public let old: RepositoryKey
    /// Decides about the object under the key, when the new one is written and nothing is changed yet. No other
    /// replacement happens between its answer and this one.
    public let isDamaged: (any StoredObject) throws -> Bool

    public init(keeping old: RepositoryKey, if isDamaged: @escaping (any StoredObject) throws -> Bool) {
        (self.old, self.isDamaged) = (old, isDamaged)
    }
}

extension DirectoryStore {
    public func begin(_ key: RepositoryKey, replacing replacement: Replacement) throws -> any ObjectWriter {
        FileWriter(key, try NewFile(writingPlace(key)), location: location) { [self] temporary in
            try replace(key, by: temporary, replacement)
        }
    }

    /// Gives the damaged file its other name and replaces it by rename(2), under its own lock: a process that gets the
    /// lock later finds that the name now leads to another file.
    private func replace(_ key: RepositoryKey, by temporary: Place, _ replacement: Replacement) throws {
        let place = try writingPlace(key)
        try withExtendedLifetime(lock(key, place)) { damaged in
            guard try replacement.isDamaged(open(key)) else { throw ObjectExists(key: key, location: location) }
            try keep(key, under: replacement.old)
            do { try Files.rename(temporary, to: place) } catch {
                // On a network file system the call may have succeeded and its answer been lost.
                if let there = try? FileStatus(ifPresent: place), there.isSame(as: damaged.status) {
                    try? remove(replacement.old)
                }
                throw error
            }
        }
    }

    /// Gives an object a further key, durably. Where the other key's folder is on another file system, or links can't
    /// be made, it is copied.
    func keep(_ key: RepositoryKey, under other: RepositoryKey) throws {
        let (from, to) = (try writingPlace(key), try writingPlace(other))
        if let folder = to.parent { try Files.makeDirectories(folder) }
        do throws(SystemError) { try Files.link(from, to: to) } catch {
            switch error.code {
            case EEXIST: throw ObjectExists(key: other, location: location)
            case EXDEV, EPERM, EOPNOTSUPP, EMLINK: try copy(key, to: other)
            default: throw error
            }
        }
        try makeDurable(other)
    }

    /// Keeps an object from being replaced while `body` runs. An object that this process may not open is left
    /// unlocked, since moving it doesn't require reading it.
    /// - Parameter body: gets the status of the file that the object is in.
    /// - Throws: `ObjectAbsent`, `BeingReplaced`, and what `body` throws.
    func held(_ key: RepositoryKey, _ body: (FileStatus) throws -> Void) throws {
        let place = try place(key)
        guard try exists(key), let status = try FileStatus(ifPresent: place) else {
            throw ObjectAbsent(key: key, location: location)
        }
        guard status.kind == .regular else { return try body(status) }
        let file: LockedFile
        do { file = try lock(key, place) } catch let error as SystemError where error.concernsOneObject {
            return try body(status)
        }
        try withExtendedLifetime(file) { try body(file.status) }
    }

    private func lock(_ key: RepositoryKey, _ place: Place) throws -> LockedFile {
        do throws(SystemError) {
            let file = try LockedFile(place)
            guard let file, try FileStatus(ifPresent: place)?.isSame(as: file.status) == true else {
                throw SystemError(.lock, place.path, code: EWOULDBLOCK)
            }
            return file
        } catch {
            switch error.code {
            case ENOENT: throw ObjectAbsent(key: key, location: location)
            case EWOULDBLOCK: throw BeingReplaced(key: key, location: location)
            default: throw error
            }
        }
    }
}

/// A file under flock(2), until it is released.
private final class LockedFile {
    let status: FileStatus
    private let file: Descriptor

    /// Nil when another process holds the lock.
    init?(_ place: Place) throws(SystemError) {
        let file = try Descriptor(openForLock: place)
        guard try file.tryLock(path: place.path) else { return nil }
        status = try file.status(path: place.path)
        self.file = file
    }

    deinit { file.unlock() }
}

extension Descriptor {
    /// Network file systems lock only what is open for writing; elsewhere reading is enough.
    init(openForLock place: Place) throws(SystemError) {
        do throws(SystemError) { self = try Descriptor(open: place, O_RDWR) } catch {
            guard [EACCES, EPERM, EROFS].contains(error.code) else { throw error }
            self = try Descriptor(open: place, O_RDONLY)
        }
    }
}
