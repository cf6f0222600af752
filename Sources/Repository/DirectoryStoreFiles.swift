import Glibc
import Platform

/// A lock by flock(2).
final class FileLock: StoreLock {
    private let file: Descriptor
    private let status: FileStatus
    private let place: Place
    private let name: String
    private let isShared: Bool

    init(_ file: consuming Descriptor, of place: Place, named name: String, isShared: Bool) throws {
        status = try file.status(path: place.path)
        self.file = file
        (self.place, self.name, self.isShared) = (place, name, isShared)
    }

    deinit { file.unlock() }

    /// The kernel takes it from nobody. But the file of somebody who reads may be removed with what he reads; whoever
    /// has it alone may remove it himself.
    func confirm() throws {
        guard isShared else { return }
        guard try FileStatus(ifPresent: place)?.isSame(as: status) == true else {
            throw LockLost(lock: name, .removed)
        }
    }
}

/// An object that is being written.
final class FileWriter: ObjectWriter {
    private let key: RepositoryKey
    private let file: NewFile
    private let location: String
    /// Nil for a name that must be free.
    private let giveName: ((_ temporary: Place) throws -> Void)?
    private var stream = WriteStream()

    init(
        _ key: RepositoryKey, _ file: NewFile, location: String, giveName: ((_ temporary: Place) throws -> Void)? = nil
    ) {
        (self.key, self.file, self.location, self.giveName) = (key, file, location, giveName)
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        try file.write { file, temporary in try stream.write(bytes, to: file, path: temporary) }
    }

    func commit(turn: () throws -> Void) throws {
        do {
            if let giveName { try file.commit(turn: turn, giveName: giveName) } else { try file.commit(turn: turn) }
        } catch is PlaceLost {
            throw RepositoryReplaced(location: location)
        } catch is AlreadyPresent {
            throw ObjectExists(key: key, location: location)
        }
    }

    func abandon() { file.abandon() }
}

/// An object that is open for reading.
final class StoredFile: StoredObject {
    let key: RepositoryKey
    let size: Int64
    private let path: String
    private let file: Descriptor

    init(key: RepositoryKey, place: Place) throws {
        let file = try Descriptor(open: place, O_RDONLY)
        let status = try file.status(path: place.path)
        guard status.kind == .regular else { throw NotAnObject(key: key, path: place.path) }
        self.size = status.size
        self.key = key
        path = place.path
        self.file = file
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        try file.read(into: buffer, at: offset, path: path)
    }

    func readAhead(at offset: Int64, count: Int64) { file.readAhead(at: offset, count: count) }

    func release(at offset: Int64, count: Int64) { file.dropCached(at: offset, count: count) }
}
